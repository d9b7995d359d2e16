import type { Dispatch } from '../gpu/dispatch.js'
import type { SkipPolicy } from '../skip/policy.js'
import type { Cache, SequenceBuffers } from './sequence-buffers.js'

/** What of a sequence decides which kernels it needs. */
export interface Variant {
  readonly policy: SkipPolicy
  /** Record margins beside the execute bits. */
  readonly margins: boolean
  /** The benchmark's control: compute skipped rows too and throw them away. */
  readonly masked: boolean
}

/** What a program is built from, besides the engine. */
export interface ProgramInputs extends Variant {
  readonly buffers: SequenceBuffers
  readonly cache: Cache
}

/** Where the GPU says how many rows run a sublayer: the word of the plan; undefined where all of them do. */
export type DecidedAt = number | undefined

/** One layer's dispatches, cut where other weights are needed or a decision is made. */
export interface LayerProgram {
  readonly entry: readonly Dispatch[]
  readonly attention: readonly Dispatch[]
  readonly afterAttention: readonly Dispatch[]
  readonly mlp: readonly Dispatch[]
  readonly attentionDecided: DecidedAt
  readonly mlpDecided: DecidedAt
}

/** One step up to the last layer's residual. */
export interface Program {
  readonly embed: Dispatch
  readonly layers: readonly LayerProgram[]
}

/** Everything in order. */
export function inOrder({ embed, layers }: Program): Dispatch[] {
  return [embed, ...layers.flatMap((l) => [...l.entry, ...l.attention, ...l.afterAttention, ...l.mlp])]
}

/** Which sublayer each dispatch of `inOrder` is part of; undefined for the embedding, and for what decides. */
export function sublayersInOrder({ layers }: Program): (number | undefined)[] {
  const decides = (dispatches: readonly Dispatch[]) => dispatches.map(() => undefined)
  return [
    undefined,
    ...layers.flatMap((l, layer) => [
      ...decides(l.entry),
      ...l.attention.map(() => 2 * layer),
      ...decides(l.afterAttention),
      ...l.mlp.map(() => 2 * layer + 1),
    ]),
  ]
}
