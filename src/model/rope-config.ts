import { SkipstoneError } from '../errors.js'
import {
  type JsonObject,
  jsonObject,
  optional,
  optionalInteger,
  optionalNumber,
  optionalString,
  required,
  show,
} from '../formats/json.js'
import type { RopeConfig } from './rope.js'

/** The base of files from before it became a setting. */
const DEFAULT_THETA = 10_000

/**
 * The RoPE of a parsed `config.json`: `rope_theta` and `rope_scaling`, or the `rope_parameters` that replaced both in
 * transformers 5 (where a file has both objects, transformers reads `rope_scaling`, and so does this).
 * `unsupported`, by name, for scalings other than linear and llama3 and for partial rotation; `bad-file` where a scaling
 * lacks its numbers.
 */
export function parseRopeConfig(config: JsonObject, what: string): RopeConfig {
  const key = optional(config, 'rope_scaling') === undefined ? 'rope_parameters' : 'rope_scaling'
  const where = `"${key}" of ${what}`
  const fields = jsonObject(optional(config, key) ?? {}, where)

  for (const object of [config, fields]) {
    const partial = optionalNumber(object, 'partial_rotary_factor', what) ?? 1
    if (partial !== 1) throw unsupported(`"partial_rotary_factor" is ${partial}`)
  }
  const nested = Object.keys(fields).find((name) => name.endsWith('_attention'))
  if (nested) throw unsupported(`${where} differs between layers ("${nested}")`)

  const theta =
    optionalNumber(fields, 'rope_theta', where, Number.MIN_VALUE) ??
    optionalNumber(config, 'rope_theta', what, Number.MIN_VALUE) ??
    DEFAULT_THETA
  const factor = (): number => required(optionalNumber(fields, 'factor', where, Number.MIN_VALUE), 'factor', where)

  const kind = optionalString(fields, 'rope_type', where) ?? optionalString(fields, 'type', where) ?? 'default'
  switch (kind) {
    case 'default':
      return { kind, theta }
    case 'linear':
      return { kind, theta, factor: factor() }
    case 'llama3': {
      const positive = (name: string): number =>
        required(optionalNumber(fields, name, where, Number.MIN_VALUE), name, where)
      const lowFreqFactor = positive('low_freq_factor')
      const highFreqFactor = positive('high_freq_factor')
      if (highFreqFactor <= lowFreqFactor) {
        throw new SkipstoneError(
          'bad-file',
          `"high_freq_factor" (${highFreqFactor}) must exceed "low_freq_factor" (${lowFreqFactor}) in ${where}.`,
        )
      }
      const contextKey = 'original_max_position_embeddings'
      const originalContext = required(optionalInteger(fields, contextKey, where, 1), contextKey, where)
      return { kind, theta, factor: factor(), lowFreqFactor, highFreqFactor, originalContext }
    }
    default:
      throw unsupported(`RoPE type ${show(kind)} in ${where}`)
  }
}

function unsupported(what: string): SkipstoneError {
  return new SkipstoneError(
    'unsupported',
    `${what}: Skipstone rotates whole heads, with RoPE types default, linear and llama3. Use a checkpoint with one of these.`,
  )
}
