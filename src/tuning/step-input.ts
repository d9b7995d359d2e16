/** What a step is told when it runs. */
export interface StepInput {
  /** [batch · length] */
  readonly ids: Uint32Array<ArrayBuffer>
  /** Tokens behind which nothing is predicted. */
  readonly ends?: ReadonlySet<number>
  /**
   * Gumbel noise for the two logits of each router, [2 layers, batch · length, 2] with the sublayers in order; or what the GPU makes it from, a
   * seed and the number of the batch. Default: none, arg-max.
   */
  readonly noise?: Float32Array<ArrayBuffer> | { readonly seed: number; readonly counter: number }
  /** Temperature of the gates. Default 1. */
  readonly tau?: number
  /** Share of gates that shall execute, default all: routers are drawn towards it, residual gates keep as many. And λ of what gates add to the loss, default 0. */
  readonly executeRate?: number
  readonly coefficient?: number
  /** Batches whose gradients are added before the optimiser steps. Default 1. */
  readonly accumulation?: number
  /** Sequences that count; those behind them fill the batch up. Default: all. */
  readonly counted?: number
}
