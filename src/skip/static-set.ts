import { SkipstoneError } from '../errors.js'
import type { Phase, SkipPolicy } from './policy.js'

export interface StaticSet {
  readonly name: string
  readonly skipped: ReadonlySet<number>
  /** Where the set is skipped; elsewhere everything runs, and keys and values are made for it. Default: everywhere. */
  readonly phase?: Phase
  /** Of a skipped sublayer. Default 1. */
  readonly scale?: (sublayer: number) => number
}

/** A policy that skips the same sublayers for every token. */
export function staticSet({ name, skipped, phase, scale }: StaticSet): SkipPolicy {
  return {
    name,
    decide: (sublayer, now) => (skipped.has(sublayer) && (phase ?? now) === now ? 'skip' : 'run'),
    threshold: () => 0,
    ...(scale && { scale }),
    ...(phase && { keysValues: 'projected' }),
  }
}

/**
 * How many of `all` parts of a model the share `skip` is, rounded; no more than `most` can be skipped.
 * @throws `bad-option` for a share that is out of reach.
 */
export function shareOf(policy: string, skip: number, { all, most }: { all: number; most: number }): number {
  const count = Math.round(skip * all)
  if (count <= most) return count
  throw new SkipstoneError(
    'bad-option',
    `${policy}: skip=${skip} is out of reach; of this model it skips ${most} of ${all} at most, a share of ${Math.floor((1000 * most) / all) / 1000}.`,
  )
}

/** The `count` parts of the highest similarity. */
export function mostSimilar(similarity: readonly number[], count: number): number[] {
  const parts = similarity.map((value, part) => ({ value, part }))
  parts.sort((a, b) => b.value - a.value || a.part - b.part)
  return parts.slice(0, count).map(({ part }) => part)
}
