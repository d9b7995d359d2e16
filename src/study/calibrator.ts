import type { Engine } from '../runtime/engine.js'
import type { SkipPolicy } from '../skip/policy.js'
import { readProfile, type SkipProfile } from '../skip/profile.js'
import { calibrateDelta, decisions, sampleText } from './budget.js'
import { type CalibrateOptions, calibrate, profiledModel } from './calibrate.js'
import { evaluate } from './evaluate.js'

/** What the policies of one model have measured for them: each thing once, and again where it failed. */
export class Calibrator {
  readonly #done = new Map<string, Promise<unknown>>()

  constructor(
    private readonly contextLength: number,
    private readonly warn: (message: string) => void,
  ) {}

  /** The δ at which the policy of this key skips `budget` of text that the model samples itself. */
  delta(
    engine: Engine,
    { key, policyAt, budget }: { key: string; policyAt: (delta: number) => SkipPolicy; budget: number },
    signal: AbortSignal | undefined,
  ): Promise<number> {
    const { contextLength } = this
    return this.once(`delta ${key}`, async () =>
      calibrateDelta(engine, policyAt, budget, [await this.#text(engine, signal)], { contextLength, signal }),
    )
  }

  /** The profile that lies beside the model; or else one of text that the model samples itself, which says that nobody gave one. */
  ownProfile(engine: Engine, stored: () => Promise<unknown>, signal: AbortSignal | undefined): Promise<SkipProfile> {
    return this.once('profile', async () => {
      const beside = await stored()
      if (beside !== undefined) return readProfile(beside, await profiledModel(engine))
      const profile = await this.profile(engine, undefined, { signal })
      this.warn(
        `A policy needs a skip profile, and none was given: it was measured on ${profile.tokens} tokens that the model sampled itself. Measure one on your own text with "skipstone calibrate" or model.calibrate, and load the model with it.`,
      )
      return profile
    })
  }

  /** A profile of these windows, or of text that the model samples itself. @throws as `calibrate`. */
  async profile(
    engine: Engine,
    windows: readonly (readonly number[])[] | undefined,
    options: Pick<CalibrateOptions, 'signal' | 'onProgress' | 'routers'>,
  ): Promise<SkipProfile> {
    const { contextLength } = this
    const text = windows ? 'given' : 'sampled'
    return calibrate(engine, windows ?? [await this.#text(engine, options.signal)], { ...options, text, contextLength })
  }

  /** The margins of every decision on text that the model samples itself, by sublayer. */
  async margins(engine: Engine, policy: SkipPolicy, signal: AbortSignal | undefined): Promise<number[][]> {
    const ids = await this.#text(engine, signal)
    const { margins } = await decisions(engine, policy, [ids], { contextLength: this.contextLength, signal })
    return Array.from({ length: engine.shape.sublayers }, (_, i) =>
      policy.decide(i, 'prefill') === 'routed' ? margins.map((row) => row[i] as number) : [],
    )
  }

  /** The mean loss of a policy on ids, or their beginning where the context is shorter than that of the profile that they come from. */
  async loss(
    engine: Engine,
    policy: SkipPolicy,
    ids: readonly number[],
    signal: AbortSignal | undefined,
  ): Promise<number> {
    const { contextLength } = this
    return (await evaluate(engine, policy, [ids.slice(0, contextLength)], { contextLength, ...(signal && { signal }) }))
      .nll
  }

  #text(engine: Engine, signal: AbortSignal | undefined): Promise<number[]> {
    return this.once('text', () => sampleText(engine, this.contextLength, signal))
  }

  once<T>(key: string, work: () => Promise<T>): Promise<T> {
    const known = this.#done.get(key) as Promise<T> | undefined
    if (known) return known
    const begun = work()
    this.#done.set(key, begun)
    begun.catch(() => this.#done.delete(key))
    return begun
  }
}
