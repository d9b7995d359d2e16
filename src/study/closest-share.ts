import { type ErrorCode, SkipstoneError } from '../errors.js'
import type { SkipPolicy } from '../skip/policy.js'
import { type PolicyRequest, parsePolicy, policyAt } from '../skip/registry.js'
import { isSkipped } from '../skip/static-skips.js'

export interface Resolved {
  readonly request: PolicyRequest
  readonly policy: SkipPolicy
}

export interface ShareSearch {
  /** @throws `missing-weights`, `bad-option` for a share that is out of reach. */
  resolve(request: PolicyRequest): Promise<SkipPolicy>
  /** The share that a policy skips of a text. */
  skips(policy: SkipPolicy): Promise<number>
}

/** Tries to come closer to a share. */
const TRIES = 3
const CLOSE = 0.005

/**
 * The policy `text`, asked for such a share that what it skips is closest to `share`; without a share, as it is asked for. A set of
 * sublayers can only be had by numbers of them, and a threshold that was found on one text skips another share of the next.
 * @throws as `ShareSearch.resolve`.
 */
export async function closestTo(
  share: number | undefined,
  text: string,
  seed: number | undefined,
  { resolve, skips }: ShareSearch,
): Promise<Resolved> {
  const at = async (asked: number): Promise<Resolved> => {
    const request = policyAt(text, asked, seed)
    return { request, policy: await resolve(request) }
  }
  if (share === undefined) {
    const request = parsePolicy(text)
    return { request, policy: await resolve(request) }
  }
  const seen: number[] = []
  let asked = share
  let found: Resolved | undefined = await at(share)
  let best = found
  let least = Number.POSITIVE_INFINITY
  while (found) {
    const skipped = await skips(found.policy)
    const distance = Math.abs(skipped - share)
    if (distance < least) {
      best = found
      least = distance
    }
    if (distance <= CLOSE || seen.includes(skipped) || seen.length === TRIES - 1) break
    seen.push(skipped)
    asked += share - skipped
    found = asked >= 0 && asked < 1 ? await without(['bad-option'], () => at(asked)) : undefined
  }
  return best
}

/** What a policy skips in decode that decides nothing later; undefined for others. */
export function fixedShare(policy: SkipPolicy, layers: number): number | undefined {
  if (policy.scoring || policy.watch) return undefined
  const sublayers = Array.from({ length: 2 * layers }, (_, sublayer) => isSkipped(policy, sublayer, 'decode'))
  return sublayers.filter(Boolean).length / sublayers.length
}

/** Undefined where it fails with one of these codes. */
export async function without<T>(codes: readonly ErrorCode[], find: () => Promise<T>): Promise<T | undefined> {
  try {
    return await find()
  } catch (error) {
    if (error instanceof SkipstoneError && codes.includes(error.code)) return undefined
    throw error
  }
}
