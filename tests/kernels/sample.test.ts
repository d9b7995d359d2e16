import { describe, expect, it } from 'vitest'
import { NO_TOKEN } from '../../shaders/sample.wgsl.js'
import { pcgHash } from '../../src/kernels/reference/random.js'
import { keptTokens, type SamplingOptions, sample } from '../../src/kernels/reference/sampling.js'
import { type SampleSettings, SETTINGS_BYTES, sampleKernel, sampleSettings } from '../../src/kernels/sample.js'
import { Prng } from '../fixtures/prng.js'
import { gpuSuite, noise, POISON, planOf, range } from '../gpu/testing.js'

/** More than one value for some lanes of the group. */
const VOCAB = 300
const STRIDE = 3
const START = 20

const OFF: SampleSettings = {
  temperature: 0,
  topP: 1,
  minP: 0,
  repetitionPenalty: 1,
  topK: 0,
  seed: 0,
  stopCount: 0,
  vocab: 0,
  stride: 0,
}
gpuSuite('sample', (bench) => {
  describe.each([32, 256] as const)('%i lanes', (lanes) => {
    interface Run {
      logits: Float32Array
      settings?: Partial<SampleSettings>
      steps?: number
      seen?: readonly number[]
      stops?: readonly number[]
      rows?: number
      cursor?: number
    }
    /** Samples from the same logits in several steps of one submit. */
    const run = async (o: Run) => {
      const { gpu, arena } = bench
      const vocab = o.logits.length
      const { rows = 1, cursor = 1, steps = 1, stops = [] } = o
      const seen = new Uint32Array(Math.ceil(vocab / 32))
      for (const id of o.seen ?? []) seen[id >> 5]! |= 1 << (id & 31)
      const kernel = await sampleKernel(gpu, lanes)
      const settings = gpu.memory.create('settings', SETTINGS_BYTES, GPUBufferUsage.UNIFORM | GPUBufferUsage.COPY_DST)
      gpu.device.queue.writeBuffer(
        settings,
        0,
        sampleSettings({ ...OFF, ...o.settings, stopCount: stops.length, vocab, stride: STRIDE }),
      )
      const records = cursor + rows + steps
      const buffers = {
        logits: bench.upload(o.logits),
        seen: bench.inout(seen),
        stops: bench.upload(Uint32Array.from(stops)),
        plan: bench.inout(planOf({ rows, start: START, cursor, capacity: rows })),
        ids: bench.poisoned(1),
        ring: bench.poisoned(records * STRIDE),
        settings,
      }
      await bench.run(Array(steps).fill(kernel(arena, buffers)))
      const ring = await bench.words(buffers.ring)
      const outcome = {
        plan: await bench.words(buffers.plan),
        ids: await bench.words(buffers.ids),
        seen: await bench.words(buffers.seen),
        ring,
        tokens: range(steps).map((step) => ring[(cursor + rows - 1 + step) * STRIDE]!),
      }
      gpu.memory.destroy(settings)
      return outcome
    }

    describe('greedy', () => {
      const tokenOf = async (logits: Float32Array, settings: Run['settings'] = {}) =>
        (await run({ logits, settings })).tokens[0]

      it('takes the largest, the lowest index of equals', async () => {
        const logits = noise(new Prng(1), VOCAB)
        logits.set([9, 9, 9], 41)
        logits[299] = 9
        expect(await tokenOf(logits)).toBe(41)
        logits[298] = 9.5
        expect(await tokenOf(logits)).toBe(298)
        logits[0] = 10
        expect(await tokenOf(logits)).toBe(0)
      })

      it.each([1, 1.5])('finds a token among hopeless ones, repetition penalty %f', async (repetitionPenalty) => {
        const settings = { repetitionPenalty }
        const logits = new Float32Array(VOCAB).fill(Number.NEGATIVE_INFINITY)
        expect(await tokenOf(logits, settings)).toBe(0)
        logits[277] = -3.4e38
        expect(await tokenOf(logits, settings)).toBe(277)
        logits.fill(-3.2e38)
        expect(await tokenOf(logits, settings)).toBe(0)
        // With fewer tokens than lanes, some of which then have none.
        const few = new Float32Array(10).fill(Number.NEGATIVE_INFINITY)
        expect(await tokenOf(few, settings)).toBe(0)
        few[7] = -3.4e38
        expect(await tokenOf(few, settings)).toBe(7)
      })

      it('takes the only token of a vocabulary of one', async () => {
        expect(await tokenOf(Float32Array.of(-7))).toBe(0)
      })
    })

    it('moves the plan on to the next step and keeps the token', async () => {
      const logits = noise(new Prng(2), VOCAB)
      logits[77] = 9
      const { plan, ids, seen, ring } = await run({ logits, rows: 4, cursor: 2 })
      expect([...plan]).toEqual([1, START + 4, 6, 0])
      expect([...ids]).toEqual([77])
      expect(range(VOCAB).filter((id) => (seen[id >> 5]! >> (id & 31)) & 1)).toEqual([77])
      expect(range(ring.length).filter((i) => ring[i] !== POISON)).toEqual([5 * STRIDE])
    })

    it('ends at a stop token: later steps write no token', async () => {
      const logits = noise(new Prng(3), VOCAB)
      logits[123] = 9
      const { plan, tokens } = await run({ logits, stops: [4, 123], steps: 3 })
      expect(tokens).toEqual([123, NO_TOKEN, NO_TOKEN])
      expect([...plan]).toEqual([0, START + 1, 4, 0])
      const { plan: other } = await run({ logits, stops: [4, 122] })
      expect(other[0]).toBe(1)
    })

    it('penalises what was seen, its own tokens included', async () => {
      const logits = new Float32Array(VOCAB).fill(-5)
      logits.set([4, 3, 2.5], 30)
      const { tokens } = await run({ logits, steps: 4, seen: [30], settings: { repetitionPenalty: 1.5 } })
      // 4 / 1.5 < 3, then 3 / 1.5 < 4 / 1.5 and so on; the lowest of the rest stays out of reach.
      expect(tokens).toEqual([31, 30, 30, 30])
      const negative = new Float32Array(VOCAB).fill(-5)
      negative[7] = -2
      negative[8] = -2.5
      const penalty = { repetitionPenalty: 1.5 }
      expect((await run({ logits: negative, seen: [7], settings: penalty })).tokens).toEqual([8])
    })

    const logits = noise(new Prng(5), VOCAB, 2)
    logits.set([3, 3, 3, 3], 100) // equals at the border of top-k stay or go together
    logits[200] = Number.NEGATIVE_INFINITY
    const FILTERS: { name: string; settings: Partial<SampleSettings>; seen?: number[] }[] = [
      { name: 'none', settings: { temperature: 0.8 } },
      { name: 'top-k', settings: { temperature: 1.3, topK: 7 } },
      { name: 'top-k of one', settings: { temperature: 1.3, topK: 1 } },
      { name: 'top-k beyond the vocabulary', settings: { temperature: 1, topK: 5000 } },
      { name: 'top-p', settings: { temperature: 0.7, topP: 0.4 } },
      { name: 'a tiny top-p', settings: { temperature: 1, topP: 1e-6 } },
      { name: 'min-p', settings: { temperature: 1, minP: 0.25 } },
      { name: 'min-p of one', settings: { temperature: 1, minP: 1 } },
      { name: 'all of them', settings: { temperature: 1.5, topK: 20, topP: 0.8, minP: 0.1 } },
      { name: 'a penalty', settings: { temperature: 0.9, topK: 5, repetitionPenalty: 1.7 }, seen: [3, 100, 101, 250] },
    ]
    const STEPS = 60

    it.each(FILTERS)('draws what the reference draws, filter: $name', async ({ settings, seen = [] }) => {
      const seed = 0x89abcdef
      const { tokens } = await run({ logits, steps: STEPS, seen, settings: { ...settings, seed } })
      const known = new Set(seen)
      const s = { ...OFF, ...settings, seed }
      tokens.forEach((token, step) => {
        // 0 and 1 switch a filter off on the GPU; the reference leaves it out.
        const options: SamplingOptions = {
          temperature: s.temperature,
          ...(s.topK > 0 ? { topK: s.topK } : {}),
          ...(s.topP < 1 ? { topP: s.topP } : {}),
          ...(s.minP > 0 ? { minP: s.minP } : {}),
          repetitionPenalty: s.repetitionPenalty,
          seed,
          counter: START + step + 1,
          seen: (id) => known.has(id),
        }
        expect(keptTokens(logits, options), `step ${step}`).toContain(token)
        const expected = sample(logits, options)
        if (token !== expected) {
          const distance = noisy(logits, expected, options) - noisy(logits, token, options)
          expect(distance, `step ${step}: ${token} instead of ${expected}`).toBeLessThan(1e-3)
        }
        known.add(token)
      })
    })

    it.each([
      { name: 'top-k', settings: { topK: 7 }, options: { topK: 7 } },
      { name: 'top-p', settings: { topP: 0.02 }, options: { topP: 0.02 } },
      { name: 'min-p', settings: { minP: 0.97 }, options: { minP: 0.97 } },
    ])('keeps all that the reference keeps: $name', async ({ settings, options }) => {
      const hot = { temperature: 50, seed: 4 }
      const { tokens } = await run({ logits, steps: 300, settings: { ...hot, ...settings } })
      const kept = keptTokens(logits, { ...hot, ...options, counter: 0 })
      expect([...new Set(tokens)].sort((a, b) => a - b)).toEqual(kept)
    })
  })
})

/** A token's scaled logit with its noise; see kernels/reference/sampling.ts. */
function noisy(logits: Float32Array, id: number, o: SamplingOptions): number {
  const { repetitionPenalty: penalty = 1 } = o
  const logit = logits[id]!
  const penalised = o.seen?.(id) ? (logit > 0 ? logit / penalty : logit * penalty) : logit
  const v = ((pcgHash(o.seed, o.counter, id) >>> 9) + 0.5) / 2 ** 23
  return penalised / o.temperature - Math.log(-Math.log1p(-v))
}
