import { SkipstoneError } from '../../errors.js'
import type { ModelConfig } from '../../model/config.js'
import type { BenchRow } from '../../study/bench.js'
import type { BatchRow } from '../../study/bench-batch.js'
import type { ProfileResult, ProfileRow, ProfileSublayers } from '../../study/profile.js'
import type { CommonOptions } from './context.js'

/** Decode steps need room behind the tokens. */
const ROOM = 32

/** @throws `bad-option` for lengths that do not fit the context of `what`. */
export function checkTokens(tokens: readonly number[], what: string, { contextLength }: ModelConfig): void {
  const long = tokens.find((n) => !(Number.isInteger(n) && n >= 1 && n + ROOM <= contextLength))
  if (long === undefined) return
  throw new SkipstoneError('bad-option', `--tokens ${long} does not fit the context of ${what}, ${contextLength}.`)
}

export interface BenchCommand extends Pick<CommonOptions, 'dtype' | 'activations' | 'gpuBudget'> {
  readonly shapes: readonly string[]
  readonly skips: readonly number[]
  readonly tokens: readonly number[]
  readonly repeats: number
  readonly phases: readonly BenchRow['phase'][]
  /** Time so many sequences that decode together instead; none where empty. */
  readonly batch: readonly number[]
  /** Time single kernels instead of whole runs. */
  readonly profile: boolean
  /** Time this model under this policy instead of shapes. */
  readonly own?: CommonOptions
}

export interface BenchResult {
  adapter: string
  dtype: string
  form: string
  rows: BenchRow[]
  /** With `batch`, instead of rows. */
  batches?: BatchRow[]
  /** With `profile`, instead of rows. */
  profile?: BenchProfile
}

/** Profiles of all shapes. */
export interface BenchProfile extends Pick<ProfileResult, 'limits'> {
  rows: (ProfileRow & { shape: string })[]
  sublayers: (ProfileSublayers & { shape: string })[]
}
