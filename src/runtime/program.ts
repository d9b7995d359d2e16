import type { SkipPolicy } from '../skip/policy.js'
import type { Cache, SequenceBuffers } from './sequence-buffers.js'

/** What a program is built from, besides the engine. */
export interface ProgramInputs {
  readonly policy: SkipPolicy
  readonly buffers: SequenceBuffers
  readonly cache: Cache
  /** Rows that a chunk can have. */
  readonly capacity: number
  /** Record margins beside the execute bits. */
  readonly margins: boolean
  /** The benchmark's control: compute skipped rows too and throw them away. */
  readonly masked: boolean
}
