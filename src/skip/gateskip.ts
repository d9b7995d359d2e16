import { SkipstoneError } from '../errors.js'
import { checkLayers, checkPresent, type GateTensors, gateTensor } from './gate-tensors.js'
import type { GateMatrix, Gates } from './gates.js'
import type { SkipPolicy } from './policy.js'
import { named } from './policy-name.js'
import { calibratedThresholds, type Margins } from './quantile.js'

/** Names of the tensors. */
export const GATESKIP_TENSORS = /^model\.layers\.\d+\.gate_(attention|mlp)\.(weight|bias|threshold)$/

/** The gates of a model, and the thresholds that came with them. */
export interface GateSkipWeights {
  readonly attention: Gates
  readonly mlp: Gates
  /** By sublayer; undefined where the file has none. */
  readonly thresholds: readonly number[] | undefined
}

/**
 * `model.layers.{i}.gate_{attention,mlp}.{weight, bias, threshold}`: weight [d, d], a gate per channel, or [1, d], one for all; the threshold of
 * a sublayer is a number, and all gates have one or none. A kind of sublayer may be without gates (the paper's ablations), and then always runs.
 * @throws `missing-weights`, `wrong-model`, `bad-file`.
 */
export function readGateSkip(tensors: GateTensors, { layers, hiddenSize }: { layers: number; hiddenSize: number }) {
  checkPresent(tensors, 'gateskip', 'gates, "model.layers.0.gate_attention.weight" and so on')
  checkLayers(tensors, /layers\.(\d+)\./, layers)
  const key = (sublayer: number, part: string) =>
    `model.layers.${sublayer >> 1}.gate_${sublayer % 2 === 0 ? 'attention' : 'mlp'}.${part}`
  const has = (sublayer: number, part: string) => tensors.has(key(sublayer, part))
  const sublayers = Array.from({ length: 2 * layers }, (_, i) => i)
  const gated = sublayers.filter((i) => has(i, 'weight') || has(i, 'bias'))
  const gatesOf = (offset: 0 | 1): Gates => {
    const own = gated.filter((i) => i % 2 === offset)
    const first = own[0] === undefined ? undefined : tensors.get(key(own[0], 'weight'))
    const outputs = first && first.data.length === hiddenSize ? 1 : hiddenSize
    const gate = (i: number): GateMatrix => ({
      weight: gateTensor(tensors, key(i, 'weight'), [outputs, hiddenSize]),
      bias: gateTensor(tensors, key(i, 'bias'), [outputs]),
    })
    return {
      reads: 'normed',
      layers: Array.from({ length: layers }, (_, layer) => {
        const i = 2 * layer + offset
        return own.includes(i) ? gate(i) : undefined
      }),
      outputs,
      tie: 'skips',
      output: { offset: 0, gain: 1 },
    }
  }
  const hasThresholds = sublayers.some((i) => has(i, 'threshold'))
  const threshold = (i: number) =>
    gated.includes(i) ? (gateTensor(tensors, key(i, 'threshold'), [1])[0] as number) : 0
  return {
    attention: gatesOf(0),
    mlp: gatesOf(1),
    thresholds: hasThresholds ? sublayers.map(threshold) : undefined,
  } satisfies GateSkipWeights
}

export interface GateSkipOptions {
  readonly skip: number | undefined
  readonly threshold: number | undefined
  /** Keys and values of tokens that skip. */
  readonly kv: 'own' | 'below'
  /** What a prompt's tokens are measured by: the thresholds that others are, or the `skip`-quantile of the tokens that are read with them. */
  readonly prefill: 'threshold' | 'quantile'
}

/**
 * GateSkip (arXiv 2510.13876, ICLR'26): with u what a sublayer reads, behind its norm,
 *
 *     g = sigmoid(W u + b)      h = h + g ⊙ sublayer(u)  where mean(g) > threshold,  else h
 *
 * Keys and values are made for every token, as the released fast path makes them; with `kv: 'below'` a token that skips has those of the layer below,
 * as the paper has it.
 *
 * Thresholds are those of the file; or one number for all, `threshold`; or `skip`, a share: then those at which that share of each sublayer's
 * tokens is skipped on text that the model samples itself. The paper has the quantile of the tokens of the same call instead. That is
 * defined for a prompt, not for a token that is generated (the released rule skips nothing there), and it lets a token's decision depend on
 * those behind it, which a loss would see. One rule for both, that looks at nothing that comes later, is ours; with `prefill: 'quantile'` prompts are read by the
 * paper's, and what is generated, or fed alone, goes by the thresholds. A call is what is read together: 512 tokens of a prompt, 64 of a text that is evaluated, 16
 * of a prompt whose probabilities are asked for, and, after a device was lost, what had been generated too.
 * @throws `bad-option` where no threshold is known, and for a quantile without a share.
 */
export async function gateskip(
  { skip, threshold, kv, prefill }: Partial<GateSkipOptions>,
  weights: GateSkipWeights,
  margins: Margins,
): Promise<SkipPolicy> {
  const { attention, mlp } = weights
  const scoring = { kind: 'gates', attention, mlp } as const
  const policyAt = (thresholds: readonly number[], ...options: string[]): SkipPolicy => ({
    name: named('gateskip', [...options, kv === 'below' ? 'kv=below' : '']),
    ...(kv === 'below' && { skipped: kv }),
    decide: (sublayer) => (gatesAt(weights, sublayer) ? 'routed' : 'run'),
    scoring,
    threshold: (sublayer) => thresholds[sublayer] as number,
  })
  if (prefill === 'quantile' && skip === undefined) {
    throw new SkipstoneError('bad-option', 'gateskip: prefill=quantile goes by a share; give skip.')
  }
  const sublayers = 2 * attention.layers.length
  const all = (value: number) => Array.from({ length: sublayers }, () => value)
  if (threshold !== undefined) return policyAt(all(threshold), `threshold=${threshold}`)
  if (skip !== undefined) {
    const found = await calibratedThresholds(policyAt, all(0), skip, margins)
    const ofPrompts = prefill === 'quantile' && skip > 0
    return {
      ...policyAt(found, `skip=${skip}`, ofPrompts ? 'prefill=quantile' : ''),
      ...(ofPrompts && { scoring: { ...scoring, promptShare: skip } }),
    }
  }
  if (weights.thresholds) return policyAt(weights.thresholds)
  throw new SkipstoneError('bad-option', 'gateskip: these gates came without thresholds; give skip or threshold.')
}

function gatesAt({ attention, mlp }: GateSkipWeights, sublayer: number): GateMatrix | undefined {
  return (sublayer % 2 === 0 ? attention : mlp).layers[sublayer >> 1]
}
