import { create } from '../dom.js'
import type { Comparison } from './comparison.js'
import { parting } from './parting.js'
import type { ModelSweep } from './sweeps.js'

/** What a file of results holds: the question with it, so that it can be asked again. */
export function resultsJson({ state, runs }: Comparison, swept: readonly ModelSweep[] | undefined): string {
  const first = runs[0]
  const results = state.settings.map((setting, i) => {
    const run = runs[i]
    if (!run || !first) return { setting, finished: false }
    const { pieces: _, ...figures } = run
    return { setting, finished: true, ...figures, parting: parting(first.tokens, run.tokens) }
  })
  return `${JSON.stringify({ ...state, settings: undefined, results, ...(swept && { sweeps: swept }) }, null, 1)}\n`
}

/** Hands the browser a file to save. */
export function save(name: string, content: string | Uint8Array<ArrayBuffer>): void {
  const type = name.endsWith('.json') ? 'application/json' : 'application/octet-stream'
  const url = URL.createObjectURL(new Blob([content], { type }))
  const link = create('a')
  link.href = url
  link.download = name
  link.click()
  // Not at once: the browser reads it after the click.
  setTimeout(() => URL.revokeObjectURL(url), 10_000)
}
