import type { Dispatch, ParamsArena } from '../gpu/dispatch.js'
import type { BatchBuffers } from './batch/batch-buffers.js'
import type { Engine } from './engine.js'
import type { Cache } from './sequence-buffers.js'

// What attention of decode steps is to those who do not care in which form the device has it.

/** Binds a layer's attention with the query of one token, and its output product, which joins the residual stream. */
export type DecodeAttention = (
  engine: Engine,
  arena: ParamsArena,
  at: { readonly plan: GPUBuffer; readonly cache: Cache; readonly layer: number; readonly slot: number },
) => Dispatch[]

/** A row of the batch, and the cache of the sequence that has it. */
export interface GroupMember {
  readonly row: number
  readonly cache: Cache
}

export interface AttendRowsOptions {
  readonly obeys: 'nothing' | 'margin'
  readonly holes: boolean
  readonly batch: { readonly firstWord: number; readonly queryStride: number }
  readonly sumsStride: number
}

/** Binds a layer's attention of some rows of a batch, each to the cache of its own sequence; margins begin at `z`. */
export type AttendRows = (
  arena: ParamsArena,
  buffers: BatchBuffers,
  members: readonly GroupMember[],
  at: { readonly layer: number; readonly z: number },
) => Dispatch[]
