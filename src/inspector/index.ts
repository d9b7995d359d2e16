/**
 * `<skip-inspector>`: the visual inspector. Importing this module registers the element; in Node it only defines the class. It knows
 * steps and traces, not the engine.
 *
 * Style properties, each a CSS colour: `--skip-attention`, `--skip-mlp`, `--skip-surface`, `--skip-band`, `--skip-ink`, `--skip-muted`,
 * `--skip-line`, `--skip-control`, `--skip-accent`. Without them colours follow the `color-scheme` of the page.
 */
export { type InspectorInfo, SkipInspector, type ViewName, type WatchInfo } from './element.js'
export type { TextSource } from './live.js'
export type { InspectorTrace, InspectorTraceStep } from './trace-file.js'
