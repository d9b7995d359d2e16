import type { Dispatch, ParamsArena } from '../gpu/dispatch.js'
import type { Target } from '../runtime/target.js'
import type { Activations } from './activations.js'
import type { StepInput } from './step-input.js'

/** Sublayers of a layer in the order of their numbers, 2 · layer and 2 · layer + 1. */
export type Kind = 'attention' | 'mlp'

/** A sublayer between whose output and the residual stream gates stand. Buffers are [rows, hidden]. */
export interface GatedSublayer {
  readonly layer: number
  readonly kind: Kind
  /** Input of the layer. */
  readonly entry: GPUBuffer
  /** The residual stream in front of the sublayer, and behind its norm: what the sublayer reads. */
  readonly x: GPUBuffer
  readonly u: GPUBuffer
  /** What the sublayer makes of it. */
  readonly branch: GPUBuffer
  /** Its last product: what that reads, [rows, width], the gradient in it, and whether nothing else, a bias or a LoRA, adds to the product. */
  readonly projection: {
    readonly reads: GPUBuffer
    readonly dReads: GPUBuffer
    readonly alone: boolean
  }
  /** The residual stream behind it. */
  readonly y: GPUBuffer
}

/** The dispatches of a sublayer's gates. */
export interface SublayerGates {
  /** Makes gates and decisions. */
  readonly decide: readonly Dispatch[]
  /** Makes again, by the same decisions, what the others need of gates and is not kept. */
  readonly remake: readonly Dispatch[]
  /** y = x + what the gates leave of the branch. */
  readonly apply: Dispatch
  /** The backward pass needs the branch again. */
  readonly needsBranch: boolean
  /** From `dx`, the gradient in y, to what the projection's gradient is made of, in `dBranch`. */
  readonly backward: readonly Dispatch[]
  readonly dBranch: GPUBuffer
  /** Behind the gradient of the projection, which must not have been added to yet. What goes into x is added to `dx`. */
  readonly projected: readonly Dispatch[]
  /** The same of what the gates read of the layer's input, once `dx` is the gradient in that. */
  readonly entryBackward: readonly Dispatch[]
}

/** Gates of a training step. Decisions of every sublayer are in `gates` of the activations, 1 where a row runs it and 0 where it does not. */
export interface GatingProgram {
  sublayer(sublayer: GatedSublayer): SublayerGates
  /** What the forward pass came to. */
  readonly losses: Dispatch
  /** Uploads what gates want to know of a step; what runs in front of it. @throws `bad-option`. */
  prepare(input: StepInput): readonly Dispatch[]
  destroy(): void
}

/** What decides which rows run a sublayer, and what its output is multiplied by. It compiles first, and allocates when it is bound. */
export type Gating = (target: Target, rows: number) => Promise<BindGating>

export interface BindGating {
  bind(arena: ParamsArena, activations: Activations): GatingProgram
}

export function sublayerOf({ layer, kind }: Pick<GatedSublayer, 'layer' | 'kind'>): number {
  return 2 * layer + (kind === 'mlp' ? 1 : 0)
}
