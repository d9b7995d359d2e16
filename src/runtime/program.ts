import type { Dispatch, ParamsArena } from '../gpu/dispatch.js'
import type { Part } from '../model/layer-matrices.js'
import type { SkipPolicy } from '../skip/policy.js'
import type { Engine } from './engine.js'
import type { Cache, PolicyBuffers, SequenceBuffers } from './sequence-buffers.js'

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

/** Which rows need a part of a layer: all of them, or as many as the GPU says in a word of the plan. */
export type Need = 'all' | { readonly word: number }

/** One layer's dispatches, cut where other weights are needed or a decision is made. */
export interface LayerProgram {
  readonly entry: readonly Dispatch[]
  readonly attention: readonly Dispatch[]
  readonly afterAttention: readonly Dispatch[]
  readonly mlp: readonly Dispatch[]
  /** The parts whose weights the dispatches read. */
  readonly needs: Readonly<Partial<Record<Part, Need>>>
}

/** One step up to the last layer's residual. */
export interface Program {
  readonly embed: Dispatch
  readonly layers: readonly LayerProgram[]
}

/** Binds what is left of a sublayer that every token skips. */
export type SkippedSublayer = (engine: Engine, arena: ParamsArena, plan: GPUBuffer, sublayer: number) => Dispatch[]

/** What decides rows: a sequence's buffers, or a batch's. */
export type RoutingBuffers = PolicyBuffers & Pick<SequenceBuffers, 'plan' | 'z'>

/** The dispatches that decide a layer's routed sublayers. */
export type Deciding = (
  engine: Engine,
  arena: ParamsArena,
  buffers: RoutingBuffers,
  layer: number,
  routed: { readonly attention: boolean; readonly mlp: boolean },
) => Pick<LayerProgram, 'entry' | 'afterAttention'> & {
  /** Where the plan lists the rows that run the MLP, if not in a slot of its own. */
  readonly mlpSlot?: number
}

/** How the last product of a sublayer, for the rows of a chunk, joins the residual stream. */
export interface Joining {
  readonly epilogue: 'add' | 'add-masked' | 'store'
  /** What the product writes. */
  into(engine: Engine): GPUBuffer
  /** What follows it. */
  after(
    engine: Engine,
    arena: ParamsArena,
    buffers: Pick<SequenceBuffers, 'plan' | 'z'>,
    at: { readonly layer: number; readonly slot: number },
  ): readonly Dispatch[]
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
