import { expect, it, vi } from 'vitest'
import { compareStates } from '../../src/kernels/reference/compare-states.js'
import { nll } from '../../src/kernels/reference/nll.js'
import { profileOf } from '../fixtures/profile.js'
import { randomIds, type TinyModel, tinyModel } from '../fixtures/tiny-model.js'
import { difference, reference } from '../runtime/support.js'
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

describeSdk.anywhere('skip profiles', (bench) => {
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
    await expectError(() => bench().session({ policy: 'adaskip:online=true' }), 'unsupported')
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
