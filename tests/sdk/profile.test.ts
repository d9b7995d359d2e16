import { expect, it, vi } from 'vitest'
import { type GenerateOptions, loadModel } from '../../src/index.js'
import { argmax } from '../../src/kernels/reference/argmax.js'
import { compareStates } from '../../src/kernels/reference/compare-states.js'
import { nll } from '../../src/kernels/reference/nll.js'

import { MemorySource } from '../fixtures/memory-source.js'
import { profileOf } from '../fixtures/profile.js'
import { randomIds, type TinyModel, tinyModel } from '../fixtures/tiny-model.js'
import { difference, reference, referenceRouting } from '../runtime/support.js'
import { describeSdk, expectError, generated } from './support.js'

// More than the rows that are compared at once, and fewer.
const WINDOWS = [randomIds(150, 91), randomIds(7, 92)]
const IDS = randomIds(20, 93)
const LAYERS = 3
const WIDTH = 32

/** Means over the tokens of all windows, in f64. */
function expectedProfile(tiny: TinyModel) {
  const model = reference(tiny)
  const states = WINDOWS.map((window) => ({ hidden: model.forward(window).hidden, rows: window.length }))
  const between = (from: number, to: number) => {
    const all = states.flatMap(({ hidden, rows }) => compareStates(hidden[from]!, hidden[to]!, rows, WIDTH))
    const mean = (of: (one: (typeof all)[number]) => number) => all.reduce((sum, one) => sum + of(one), 0) / all.length
    return { cosine: mean(({ cosine }) => cosine), ratio: mean(({ ratio }) => ratio) }
  }
  const sublayers = Array.from({ length: 2 * LAYERS }, (_, i) => between(i, i + 1))
  const layers = Array.from({ length: LAYERS }, (_, i) => between(2 * i, 2 * i + 2))
  return {
    similarity: sublayers.map(({ cosine }) => cosine),
    scale: sublayers.map(({ ratio }) => ratio),
    layerSimilarity: layers.map(({ cosine }) => cosine),
  }
}

describeSdk.anywhere('skip profiles', (bench, gpu) => {
  it('measure what the reference does', async () => {
    const done: number[] = []
    const profile = await bench().model.calibrate(WINDOWS, { onProgress: (count) => void done.push(count) })
    expect(profile).toMatchObject({ format: 'skipstone-profile', version: 1, text: 'given', tokens: 157 })
    expect(profile.sample).toEqual(WINDOWS[0])
    expect(done).toEqual([1, 2])
    const expected = expectedProfile(tinyModel())
    for (const key of ['similarity', 'scale', 'layerSimilarity'] as const) {
      expect(difference(profile[key], expected[key]), key).toBeLessThan(1e-5)
    }
    // Sublayers differ by more than that.
    expect(new Set(expected.similarity.map((value) => value.toFixed(2))).size).toBeGreaterThan(3)
    await bench().stillWorks()
  })

  it('hold what its routers would decide where nothing is skipped', async () => {
    const { margins } = await bench().model.calibrate(WINDOWS)
    const tiny = tinyModel()
    const all = WINDOWS.map(
      (window) => reference(tiny).forward(window, { ...referenceRouting(tiny), execute: () => true }).z,
    )
    for (let sublayer = 0; sublayer < 2 * LAYERS; sublayer++) {
      const z = all.flatMap((window) => [...window[sublayer]!]).sort((a, b) => a - b)
      expect(margins!.mean[sublayer]).toBeCloseTo(z.reduce((sum, one) => sum + one, 0) / z.length, 4)
      const quantiles = [0.05, 0.25, 0.5, 0.75, 0.95].map((share) => z[Math.round(share * (z.length - 1))]!)
      expect(difference(margins!.at[sublayer]!, quantiles)).toBeLessThan(1e-4)
      expect(z[0]! < 0 && z.at(-1)! > 0, 'both signs').toBe(true)
    }
    const { model } = await bench().load({ checkpoint: { routers: undefined } })
    expect((await model.calibrate(WINDOWS)).margins).toBeUndefined()
    model.dispose()
  })

  it('lie beside a model, which then samples nothing', async () => {
    const warnings: string[] = []
    const onWarning = (message: string) => void warnings.push(message)
    const { files } = tinyModel()
    const stored = async (file: unknown) => {
      const source = new MemorySource(new Map([...files, ['skip-profile.json', Buffer.from(JSON.stringify(file))]]))
      return loadModel(source, { onWarning, gpu: gpu() })
    }
    const profile = await bench().model.calibrate(WINDOWS)
    const skips = profileOf(profile.model, [{ sublayer: 4 }])
    const model = await stored(skips)
    using session = model.createSession({ policy: 'adaskip:skip=0.17,online=false' })
    await generated(session, IDS, { maxTokens: 2 })
    expect(session.trace().steps[0]).toMatchObject({ attention: '110', mlp: '111' })
    expect(session.trace().steps[0]!.keysValues).toBe('110')
    expect(warnings).toEqual([])
    model.dispose()
    const other = await stored({ ...skips, model: { ...skips.model, fingerprint: 'another' } })
    await expectError(other.evaluate([IDS], { policy: 'shortgpt' }), 'wrong-model')
    other.dispose()
  })

  it('are of text that the model samples itself where none is given', async () => {
    const profile = await bench().model.calibrate()
    expect(profile).toMatchObject({ text: 'sampled', layerSimilarity: { length: LAYERS } })
    expect(profile.tokens).toBeGreaterThan(10)
    expect(await bench().model.calibrate()).toEqual(profile)
  })

  it('belong to one model, in whatever form it is held', async () => {
    const { model } = await bench().model.calibrate(WINDOWS)
    const other = await bench().load({ checkpoint: { seed: 6 } })
    const compact = await bench().load({ dtype: 'q8' })
    expect((await other.model.calibrate(WINDOWS)).model.fingerprint).not.toBe(model.fingerprint)
    expect((await compact.model.calibrate(WINDOWS)).model).toEqual(model)
    for (const { model } of [other, compact]) model.dispose()
  })

  it('have to be ones', async () => {
    const profile = await bench().model.calibrate(WINDOWS)
    await expectError(bench().load({ profile, checkpoint: { seed: 6 } }), 'wrong-model')
    await expectError(bench().load({ profile, checkpoint: { layers: 2 } }), 'wrong-model')
    await expectError(bench().load({ profile: {} as typeof profile }), 'bad-file')
    await expectError(bench().model.calibrate([]), 'bad-option')
    await expectError(bench().model.calibrate([[1, 100]]), 'bad-option')
    await expectError(bench().model.calibrate([randomIds(2000)]), 'context-full')
    await expectError(bench().model.calibrate(WINDOWS, { signal: AbortSignal.abort() }), 'aborted')
    await bench().stillWorks()
  })

  it('decide what adaskip and shortgpt skip', async () => {
    const { model: profiled } = await bench().model.calibrate(WINDOWS)
    const scales = new Map([
      [1, 1.2],
      [4, 0.8],
    ])
    const most = [...scales].map(([sublayer, scale]) => ({ sublayer, scale }))
    const profile = profileOf(profiled, most, [0.5, 0.9, 0.6])
    const warnings: string[] = []
    const { model } = await bench().load({ profile, onWarning: (message) => void warnings.push(message) })
    const check = async (policy: string, skipped: readonly number[], scale: (sublayer: number) => number) => {
      using session = model.createSession({ policy })
      const run = await generated(session, IDS, { maxTokens: 12 })
      const execute = (sublayer: number) => !skipped.includes(sublayer)
      const expected = reference(tinyModel()).greedy(IDS, 12, { execute, scale })
      expect(run.tokens).toEqual(expected.tokens)
      expect(session.stats().skip.total).toBeCloseTo(skipped.length / 6, 12)
    }
    await check('adaskip:skip=0.34', [1, 4], (sublayer) => scales.get(sublayer)!)
    await check('adaskip:skip=0.34,online=false', [1, 4], (sublayer) => scales.get(sublayer)!)
    await check('shortgpt:skip=0.34', [2, 3], () => 1)
    expect(warnings).toEqual([])
    model.dispose()
  })

  it('and the beginning of an answer decide what adaskip skips of the rest', async () => {
    const { model: profiled } = await bench().model.calibrate(WINDOWS)
    // MLPs of this model leave cosines around this one: some of them are above it, some below.
    const window = 5
    const tiny = tinyModel()
    const skipped = [2]
    const tokens = 14
    const execute = (sublayer: number) => !skipped.includes(sublayer)
    const scale = () => 0.9
    const start = reference(tiny).greedy(IDS, window + 1, { execute, scale })
    const cosines = [1, 3, 5].map((sublayer) => {
      const seen = start.steps
        .slice(1)
        .map(({ hidden }) => compareStates(hidden[sublayer]!, hidden[sublayer + 1]!, 1, WIDTH)[0]!)
      const mean = (of: (one: (typeof seen)[number]) => number) =>
        seen.reduce((sum, one) => sum + of(one), 0) / seen.length
      return { sublayer, cosine: mean(({ cosine }) => cosine), ratio: mean(({ ratio }) => ratio) }
    })
    cosines.sort((a, b) => b.cosine - a.cosine)
    const threshold = (cosines[0]!.cosine + cosines[1]!.cosine) / 2
    expect(cosines[0]!.cosine - cosines[1]!.cosine).toBeGreaterThan(1e-3)
    const added = cosines[0]!
    const profile = profileOf(profiled, [{ sublayer: 2, scale: 0.9 }])
    const similarity = profile.similarity.map((value, sublayer) => (sublayer === 2 ? threshold : value - 1))
    const { model } = await bench().load({ profile: { ...profile, similarity } })

    const check = async (policy: string, options: GenerateOptions) => {
      using session = model.createSession({ policy })
      const run = await generated(session, IDS, { ...options, maxTokens: tokens })
      const columns = session
        .trace()
        .steps.map(({ attention, mlp }) => [...attention].map((bit, i) => bit + mlp[i]).join(''))
      const before = '110111'
      const behind = [...before].map((bit, sublayer) => (sublayer === added.sublayer ? '0' : bit)).join('')
      expect(columns.slice(0, IDS.length + window)).toEqual(new Array(IDS.length + window).fill(before))
      expect(columns.slice(IDS.length + window)).toEqual(new Array(tokens - 1 - window).fill(behind))
      const cache = reference(tiny).newCache()
      const all = [...IDS, ...run.tokens]
      const first = reference(tiny).forward(all.slice(0, IDS.length + window), { execute, scale }, cache)
      const rest = reference(tiny).forward(
        all.slice(IDS.length + window, -1),
        {
          execute: (sublayer) => execute(sublayer) && sublayer !== added.sublayer,
          scale: (sublayer) => (sublayer === added.sublayer ? added.ratio : 0.9),
        },
        cache,
      )
      const logits = [...first.logits.slice(100 * (IDS.length - 1)), ...rest.logits]
      const chosen = run.tokens.map((_, i) => argmax(Float64Array.from(logits.slice(100 * i, 100 * (i + 1)))))
      expect(run.tokens).toEqual(chosen)
      // The next prompt is read as the first one was.
      await generated(session, [40, 41], { maxTokens: 1 })
      expect(
        session
          .trace()
          .steps.slice(-2)
          .map(({ mlp }) => mlp),
      ).toEqual(['111', '111'])
    }
    await check('adaskip:skip=0.17,window=5', {})
    await check('adaskip:skip=0.17,window=5', { stepsPerSubmit: 3 })
    await check('adaskip:skip=0.17,window=5', { logprobs: 0 })
    // Answers at the same time decide each for itself.
    const alone = async (i: number) => {
      using session = model.createSession({ policy: 'adaskip:skip=0.17,window=5' })
      const { tokens } = await generated(session, randomIds(9 + i, 94 + i), { maxTokens: 20 })
      return { tokens, trace: session.trace() }
    }
    const expected = [await alone(0), await alone(1), await alone(2)]
    expect(await Promise.all([0, 1, 2].map(alone))).toEqual(expected)
    // An answer that ends before is one without more.
    using short = model.createSession({ policy: 'adaskip:skip=0.17,window=50' })
    await generated(short, IDS, { maxTokens: 8 })
    expect(short.stats().skip.mlp).toBe(0)
    model.dispose()
  })

  it('have a sample, by whose loss sleb decides, once', async () => {
    const layers = 5
    const checkpoint = { layers }
    const plain = await bench().load({ checkpoint })
    const profile = await plain.model.calibrate(WINDOWS)
    plain.model.dispose()
    const { model, engine } = await bench().load({ checkpoint, profile })
    const losses = await Promise.all(
      [1, 2, 3].map(async (layer) => {
        const execute = (sublayer: number) => sublayer >> 1 !== layer
        const { logits } = reference(tinyModel(checkpoint)).forward(WINDOWS[0]!, { execute })
        const rows = WINDOWS[0]!.length - 1
        const targets = Uint32Array.from(WINDOWS[0]!.slice(1))
        return nll(logits.subarray(0, 100 * rows), targets, rows, 100).reduce((sum, one) => sum + one, 0)
      }),
    )
    const best = 1 + losses.indexOf(Math.min(...losses))
    const skipped = async () => {
      using session = model.createSession({ policy: 'sleb:skip=0.2' })
      await generated(session, IDS, { maxTokens: 3 })
      return session.stats().skip.byLayer.map(({ attention, mlp }) => attention + mlp)
    }
    expect(await skipped()).toEqual(Array.from({ length: layers }, (_, layer) => (layer === best ? 2 : 0)))
    const submits = vi.spyOn((await engine()).gpu.device.queue, 'submit')
    await skipped()
    const again = submits.mock.calls.length
    submits.mockClear()
    using dense = model.createSession()
    await generated(dense, IDS, { maxTokens: 3 })
    // It searches no more.
    expect(again).toBeLessThan(submits.mock.calls.length + 3)
    model.dispose()
  })

  it('are measured where a policy needs one that nobody gave, once, and said so', async () => {
    const warnings: string[] = []
    const { model } = await bench().load({ onWarning: (message) => void warnings.push(message) })
    for (const policy of ['adaskip', 'shortgpt:skip=0.3', 'adaskip:skip=0.5']) {
      using session = model.createSession({ policy })
      await generated(session, IDS, { maxTokens: 2 })
    }
    await model.evaluate([IDS], { policy: 'shortgpt' })
    expect(warnings).toEqual([expect.stringMatching(/profile.*sampled/)])
    model.dispose()
  })
})
