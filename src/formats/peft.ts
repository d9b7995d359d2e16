import { SkipstoneError } from '../errors.js'
import {
  type JsonObject,
  jsonObject,
  optional,
  optionalBoolean,
  optionalInteger,
  optionalNumber,
  optionalString,
  required,
  show,
} from './json.js'
import { normaliseTensorName } from './tensor-names.js'

// Fields and their meaning: peft, LoraConfig, https://huggingface.co/docs/peft/package_reference/lora

/** What a PEFT `adapter_config.json` says about merging: `W ← W + scale · B A`. */
export interface AdapterConfig {
  /** The rank of modules that no pattern names. */
  readonly r: number
  readonly alpha: number
  /** Whether scales divide by √r in place of r. */
  readonly rankStabilised: boolean
  /** The rank of one module, as in `model.layers.0.self_attn.q_proj`. */
  rankFor(moduleName: string): number
  /** The factor of `B A` for one module. */
  scaleFor(moduleName: string): number
}

/** The two matrices of one adapted weight, as they are named in the adapter's file. */
export interface LoraPair {
  /** `[r, in]` */
  readonly a: string
  /** `[out, r]` */
  readonly b: string
}

const WHAT = 'adapter_config.json'

/** Initialisations that leave the base weight as it was; the others move part of it into the adapter. */
const PLAIN_INITIALISATIONS: readonly unknown[] = [true, false, 'gaussian', 'eva', 'orthogonal']

/**
 * A parsed `adapter_config.json`. `bad-file` where `r` or `lora_alpha` is missing or a field is malformed; `unsupported`,
 * naming the field, where merging would need more than `W + scale · B A`.
 */
export function parseAdapterConfig(json: unknown): AdapterConfig {
  const config = jsonObject(json, WHAT)
  const type = required(optionalString(config, 'peft_type', WHAT), 'peft_type', WHAT)
  if (type !== 'LORA') throw unsupported('peft_type', type)
  refuseVariants(config)

  const r = required(optionalInteger(config, 'r', WHAT, 1), 'r', WHAT)
  const alpha = required(optionalNumber(config, 'lora_alpha', WHAT), 'lora_alpha', WHAT)
  const rankStabilised = optionalBoolean(config, 'use_rslora', WHAT) ?? false
  const ranks = pattern(config, 'rank_pattern', (fields, key) => optionalInteger(fields, key, WHAT, 1))
  const alphas = pattern(config, 'alpha_pattern', (fields, key) => optionalNumber(fields, key, WHAT))

  const rankFor = (moduleName: string): number => match(ranks, moduleName) ?? r
  const scaleFor = (moduleName: string): number => {
    const rank = rankFor(moduleName)
    return (match(alphas, moduleName) ?? alpha) / (rankStabilised ? Math.sqrt(rank) : rank)
  }
  return { r, alpha, rankStabilised, rankFor, scaleFor }
}

/** Which matrix of which module (`model.layers.0.self_attn.q_proj`) a name in an adapter's file means; undefined for other tensors. */
export function loraMatrix(name: string): { module: string; side: 'A' | 'B' } | undefined {
  // While training, PEFT puts the adapter's name in the middle: `….lora_A.default.weight`.
  const [, stem, side] = /^(.+)\.lora_([AB])(?:\.[^.]+)?\.weight$/.exec(name) ?? []
  if (stem === undefined) return undefined
  const module = normaliseTensorName(`${stem}.weight`).slice(0, -'.weight'.length)
  return { module, side: side === 'A' ? 'A' : 'B' }
}

/**
 * The adapted weights of an adapter file: base weight (normalised name) to its pair. Names without `lora_` are passed over,
 * since a full training checkpoint holds the base weights too. `bad-file` where there is no pair, half of one, or two for one
 * weight; `unsupported` for other kinds of LoRA tensors.
 */
export function pairLora(names: Iterable<string>): Map<string, LoraPair> {
  const halves = new Map<string, { a?: string; b?: string }>()
  for (const name of names) {
    if (!name.includes('lora_')) continue
    const matrix = loraMatrix(name)
    if (!matrix) {
      throw new SkipstoneError(
        'unsupported',
        `The adapter holds "${name}"; Skipstone merges lora_A and lora_B of linear layers only. Merge it with peft first.`,
      )
    }
    const base = `${matrix.module}.weight`
    const side = matrix.side === 'A' ? 'a' : 'b'
    const pair = halves.get(base) ?? {}
    if (pair[side] !== undefined) {
      throw new SkipstoneError(
        'bad-file',
        `The adapter adapts "${base}" twice, with "${pair[side]}" and "${name}"; save one adapter to a file.`,
      )
    }
    pair[side] = name
    halves.set(base, pair)
  }

  if (halves.size === 0) {
    throw new SkipstoneError('bad-file', 'The adapter file holds no lora_A or lora_B tensor; check that it is a LoRA.')
  }
  return new Map(Array.from(halves, ([base, pair]) => [base, complete(base, pair)]))
}

function complete(base: string, { a, b }: { a?: string; b?: string }): LoraPair {
  if (a === undefined || b === undefined) {
    throw new SkipstoneError(
      'bad-file',
      `The adapter has "${a ?? b}" without its lora_${a === undefined ? 'A' : 'B'} for "${base}"; fetch the file again.`,
    )
  }
  return { a, b }
}

/** Every field that changes what an adapter computes and that is not handled here. */
function refuseVariants(config: JsonObject): void {
  for (const key of ['use_dora', 'fan_in_fan_out', 'lora_bias', 'use_qalora']) {
    if (optionalBoolean(config, key, WHAT)) throw unsupported(key, true)
  }
  const lists = [
    'modules_to_save',
    'layer_replication',
    'trainable_token_indices',
    'target_parameters',
    'alora_invocation_tokens',
  ]
  for (const key of lists) {
    const value = optional(config, key)
    if (value !== undefined && !isEmpty(value)) throw unsupported(key, value)
  }
  const bias = optionalString(config, 'bias', WHAT) ?? 'none'
  if (bias !== 'none') throw unsupported('bias', bias)
  const initialisation = optional(config, 'init_lora_weights') ?? true
  if (!PLAIN_INITIALISATIONS.includes(initialisation)) throw unsupported('init_lora_weights', initialisation)
}

function unsupported(key: string, value: unknown): SkipstoneError {
  return new SkipstoneError(
    'unsupported',
    `The adapter's "${key}" is ${show(value)}, which Skipstone cannot merge. Merge it into the model with peft first.`,
  )
}

function isEmpty(value: unknown): boolean {
  return typeof value === 'object' && value !== null && Object.keys(value).length === 0
}

type Pattern = readonly (readonly [string, number])[]

/** A `rank_pattern` or `alpha_pattern`. Peft reads the keys as regular expressions; plain module names are what occurs. */
function pattern(
  config: JsonObject,
  key: string,
  read: (fields: JsonObject, name: string) => number | undefined,
): Pattern {
  const fields = jsonObject(optional(config, key) ?? {}, `"${key}" of ${WHAT}`)
  return Object.keys(fields).map((name) => {
    if (!/^[\w.]+$/.test(name)) throw unsupported(key, { [name]: fields[name] })
    return [name, required(read(fields, name), name, WHAT)] as const
  })
}

/** The value for the first key that is `moduleName` or its last path elements. */
function match(entries: Pattern, moduleName: string): number | undefined {
  return entries.find(([name]) => moduleName === name || moduleName.endsWith(`.${name}`))?.[1]
}
