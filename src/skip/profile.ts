import { SkipstoneError } from '../errors.js'
import { type JsonObject, jsonObject, optional, optionalInteger, optionalString, required } from '../formats/json.js'

/** The model that a profile was measured on, and is for. */
export interface ProfiledModel {
  readonly layers: number
  /** Of its norms and biases: the same whatever the dtype of its matrices, and with any adapter. */
  readonly fingerprint: string
}

/** Margins z of a model's routers over the tokens of a text, each of which ran everything. A token that routers decide about runs iff z >= δ. */
export interface RouterMargins {
  /** Which routers: of their weights. */
  readonly routers: string
  /** Shares of the tokens, ascending. */
  readonly quantiles: readonly number[]
  /** [2L] */
  readonly mean: readonly number[]
  /** [2L][quantiles] What so large a share of the tokens has at most. */
  readonly at: readonly (readonly number[])[]
}

/**
 * How much each sublayer of a model changes the residual stream, on average over the tokens of a text. Plain data: it survives JSON.
 * Sublayers are numbered 2·layer (attention) and 2·layer + 1 (MLP). A field that a reader can do without is no new version.
 */
export interface SkipProfile {
  readonly format: 'skipstone-profile'
  readonly version: 1
  readonly model: ProfiledModel
  /** Whose text it was: given, or sampled by the model itself. */
  readonly text: 'given' | 'sampled'
  readonly tokens: number
  /** Ids of the text's beginning, for policies that compare losses. */
  readonly sample: readonly number[]
  /** [2L] Cosine of the stream before and behind a sublayer. */
  readonly similarity: readonly number[]
  /** [2L] Norm of the stream behind a sublayer over that before it. */
  readonly scale: readonly number[]
  /** [L] Cosine of the stream before and behind a whole layer. */
  readonly layerSimilarity: readonly number[]
  /** Absent where the model was loaded without routers, and in profiles of earlier releases. */
  readonly margins?: RouterMargins
}

const WHAT = 'the skip profile'

/**
 * Checks what was read from a profile's file.
 * @throws `bad-file` for what is no profile, `wrong-model` for one of another model.
 */
export function readProfile(value: unknown, model: ProfiledModel): SkipProfile {
  const object = jsonObject(value, WHAT)
  if (optional(object, 'format') !== 'skipstone-profile' || optional(object, 'version') !== 1) {
    throw new SkipstoneError(
      'bad-file',
      'This is no skip profile of this version of Skipstone; "skipstone calibrate" writes one.',
    )
  }
  const profiled = jsonObject(optional(object, 'model'), '"model" in the skip profile')
  const layers = required(optionalInteger(profiled, 'layers', WHAT, 1), 'layers', WHAT)
  const fingerprint = required(optionalString(profiled, 'fingerprint', WHAT), 'fingerprint', WHAT)
  if (layers !== model.layers || fingerprint !== model.fingerprint) {
    throw new SkipstoneError(
      'wrong-model',
      `The skip profile was measured on another model${layers === model.layers ? '' : `, of ${layers} layers`}: calibrate this one.`,
    )
  }
  const text = optional(object, 'text')
  if (text !== 'given' && text !== 'sampled') throw broken('text')
  return {
    format: 'skipstone-profile',
    version: 1,
    model,
    text,
    tokens: required(optionalInteger(object, 'tokens', WHAT, 1), 'tokens', WHAT),
    sample: ids(object),
    similarity: numbers(object, 'similarity', 2 * layers, -1.001),
    scale: numbers(object, 'scale', 2 * layers, 0),
    layerSimilarity: numbers(object, 'layerSimilarity', layers, -1.001),
    ...(optional(object, 'margins') !== undefined && { margins: readMargins(optional(object, 'margins'), layers) }),
  }
}

function readMargins(value: unknown, layers: number): RouterMargins {
  const object = jsonObject(value, '"margins" in the skip profile')
  const quantiles = optional(object, 'quantiles')
  const at = optional(object, 'at')
  if (!Array.isArray(quantiles) || !Array.isArray(at) || at.length !== 2 * layers) throw broken('margins')
  return {
    routers: required(optionalString(object, 'routers', WHAT), 'routers', WHAT),
    quantiles: numbers(object, 'quantiles', quantiles.length, 0),
    mean: numbers(object, 'mean', 2 * layers),
    at: at.map((row) => numbers({ at: row }, 'at', quantiles.length)),
  }
}

function numbers(object: JsonObject, key: string, count: number, least = Number.NEGATIVE_INFINITY): number[] {
  const value = optional(object, key)
  const fits = (one: unknown): one is number => typeof one === 'number' && one >= least && Number.isFinite(one)
  if (!Array.isArray(value) || value.length !== count || !value.every(fits)) throw broken(key)
  return value
}

function ids(object: JsonObject): number[] {
  const value = optional(object, 'sample')
  const fits = (one: unknown): one is number => Number.isInteger(one) && (one as number) >= 0
  if (!Array.isArray(value) || value.length === 0 || !value.every(fits)) throw broken('sample')
  return value
}

function broken(key: string): SkipstoneError {
  return new SkipstoneError('bad-file', `"${key}" in the skip profile is not what it should be; calibrate again.`)
}
