import { executed, type StepRecord } from '../runtime/records.js'
import type { SkipPolicy } from '../skip/policy.js'
import type { RouterMargins } from '../skip/profile.js'
import type { LinearRouter, RouterWeights, TwoLayerRouter } from '../skip/router-weights.js'
import { skipgptPolicy } from '../skip/skipgpt.js'
import { checksum } from '../storage/checksum.js'

const QUANTILES = [0.05, 0.25, 0.5, 0.75, 0.95]
/** Below the margins of most routers; f32 keeps 18 binary places of a sum with it. */
const REACH = 64

/** Collects what routers would decide about tokens that run everything. */
export class MarginStatistics {
  #reach = REACH
  readonly #seen: number[][]

  constructor(
    private readonly routers: RouterWeights,
    layers: number,
  ) {
    this.#seen = Array.from({ length: 2 * layers }, () => [])
  }

  /** Scores every token and skips none, unless a margin is below what was thought. */
  get policy(): SkipPolicy {
    return skipgptPolicy({ routers: this.routers, delta: -this.#reach })
  }

  /** False where a token skipped something: the policy is then another one, and the tokens have to run again. */
  add(records: readonly StepRecord[]): boolean {
    const sublayers = this.#seen.map((_, sublayer) => sublayer)
    if (!records.every(({ bits }) => sublayers.every((sublayer) => executed(bits, sublayer)))) {
      this.#reach *= REACH
      return false
    }
    for (const { margins } of records) {
      for (const [sublayer, seen] of this.#seen.entries()) seen.push((margins?.[sublayer] as number) - this.#reach)
    }
    return true
  }

  get found(): RouterMargins {
    const sorted = this.#seen.map((seen) => seen.toSorted((a, b) => a - b))
    return {
      routers: checksumOf(this.routers),
      quantiles: QUANTILES,
      mean: sorted.map((seen) => seen.reduce((sum, one) => sum + one, 0) / seen.length),
      at: sorted.map((seen) => QUANTILES.map((share) => seen[Math.round(share * (seen.length - 1))] as number)),
    }
  }
}

function checksumOf({ attention, mlp }: RouterWeights): string {
  const parts = [...attention, ...mlp].flatMap((router: LinearRouter | TwoLayerRouter) =>
    'hiddenWeight' in router
      ? [router.hiddenWeight, router.hiddenBias, router.weight, Float32Array.of(router.bias)]
      : [router.weight, Float32Array.of(router.bias)],
  )
  const values = Float32Array.from(parts.flatMap((part) => [...part]))
  return checksum(new Uint8Array(values.buffer))
}
