import { type JsonObject, optionalBoolean, optionalInteger } from '../../formats/json.js'

/** What transformers assumes where windows are switched on without a size. */
const DEFAULT_WINDOW = 4096

/** Qwen files carry a `sliding_window` that counts only while `use_sliding_window` is on. */
export function qwenSlidingWindow(config: JsonObject): number | undefined {
  if (!optionalBoolean(config, 'use_sliding_window', 'config.json')) return undefined
  return optionalInteger(config, 'sliding_window', 'config.json', 1) ?? DEFAULT_WINDOW
}
