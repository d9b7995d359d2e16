import { expect, it } from 'vitest'
import type { Sweep, SweepLine } from '../../src/index.js'
import { policies, policyAt, policyText } from '../../src/index.js'
import { compareStates } from '../../src/kernels/reference/compare-states.js'
import { nll } from '../../src/kernels/reference/nll.js'
import { profileOf } from '../fixtures/profile.js'
import { randomIds, type TinyOptions, tinyModel } from '../fixtures/tiny-model.js'
import { reference } from '../runtime/support.js'
import { describeSdk, expectError } from './support.js'

const WINDOWS = [randomIds(60, 71), randomIds(31, 72)]

describeSdk.anywhere('sweeps', (bench) => {
  const line = ({ lines }: Sweep, policy: string, masked = false) =>
    lines.find((one) => one.policy === policy && one.masked === masked) as SweepLine

  it('hold loss and speed of every policy that the model runs', async () => {
    const steps: [number, number][] = []
    const sweep = await bench().model.sweep(WINDOWS, {
      shares: [0.3],
      seeds: 2,
      rounds: 1,
      onProgress: (done, all) => void steps.push([done, all]),
    })
    const runs = policies().flatMap(({ policy, share, needs }) => (share && needs !== 'weights' ? [policy] : []))
    expect(sweep.lines.map(({ policy, masked }) => (masked ? `${policy} masked` : policy))).toEqual([
      ...runs,
      'skipgpt masked',
    ])
    expect(sweep.tokens).toBe(89)
    expect(steps.at(-1)![0]).toBe(steps.at(-1)![1])
    expect(steps.map(([done]) => done)).toEqual(steps.map((_, i) => i + 1))

    const { nll: loss } = await bench().model.evaluate(WINDOWS)
    expect(sweep.dense).toMatchObject({ nll: loss, skip: { total: 0 }, speed: { prefillSpeedup: 1, decodeSpeedup: 1 } })
    const [adaskip] = line(sweep, 'adaskip:online=false').points
    expect(adaskip).toMatchObject({ policy: 'adaskip:online=false,skip=0.3', share: 0.3 })
    expect(adaskip!.skip.total).toBeCloseTo(1 / 3, 12)
    expect(adaskip!.nll).toBe((await bench().model.evaluate(WINDOWS, { policy: adaskip!.policy })).nll)
    // What is not computed is not read; what is computed and thrown away is.
    const read = (one: SweepLine) => one.points[0]!.speed!.weightBytesPerToken
    expect(read(line(sweep, 'adaskip:online=false'))).toBeLessThan(sweep.dense.speed!.weightBytesPerToken)
    for (const { points } of sweep.lines) {
      for (const { speed } of points)
        expect(speed!.prefillTokensPerSecond * speed!.decodeTokensPerSecond).toBeGreaterThan(0)
    }
    const [routed, masked] = [line(sweep, 'skipgpt'), line(sweep, 'skipgpt', true)]
    expect(masked.points[0]!.nll).toBe(routed.points[0]!.nll)
  })

  it('take lots of several seeds, unless one was asked for', async () => {
    const { lines } = await bench().model.sweep(WINDOWS, {
      policies: ['random', 'random:seed=1', 'random:skip=0.5,seed=1'],
      shares: [0.5],
      rounds: 0,
    })
    const [mean, one, same] = lines.map(({ points }) => points[0]!)
    const losses = await Promise.all(
      [0, 1, 2].map(
        async (seed) => (await bench().model.evaluate(WINDOWS, { policy: `random:skip=0.5,seed=${seed}` })).nll,
      ),
    )
    expect(mean!.policy).toBe('random:skip=0.5')
    expect(mean!.nll).toBeCloseTo(losses.reduce((sum, loss) => sum + loss, 0) / 3, 12)
    expect(mean!.nllRange).toEqual([Math.min(...losses), Math.max(...losses)])
    expect([one!.nll, same!.nll]).toEqual([losses[1], losses[1]])
    expect(one!.nllRange).toBeUndefined()
    expect(same!.share).toBeUndefined()
    expect(one!.speed).toBeUndefined()
  })

  it('ask for such a share that what is skipped comes close', async () => {
    const { lines } = await bench().model.sweep(WINDOWS, { policies: ['skipgpt', 'unified'], shares: [0.3], rounds: 0 })
    const [routed, layers] = lines.map(({ points }) => points[0]!)
    expect(Math.abs(routed!.skip.total - 0.3)).toBeLessThan(0.06)
    // Asked for 30 %, 2.1 of three layers would stay: two do.
    expect(layers!.skip.total).toBeCloseTo(1 / 3, 12)
  })

  it('leave out what is out of reach, and say what was asked wrong', async () => {
    const { model } = bench()
    const asked = ['first', 'dense', 'skipgpt:delta=0.1']
    const { lines } = await model.sweep(WINDOWS, { policies: asked, shares: [0.3, 0.9], rounds: 0 })
    expect(lines.map(({ points }) => points.map(({ share }) => share))).toEqual([[0.3], [undefined], [undefined]])
    await expectError(model.sweep(WINDOWS, { policies: ['nothing'], rounds: 0 }), 'unknown-policy')
    await expectError(model.sweep(WINDOWS, { policies: ['first:skip=0.9'], rounds: 0 }), 'bad-option')
    await expectError(model.sweep([[1, 1000]], { rounds: 0 }), 'bad-option')
    await expectError(model.sweep([[1]], { rounds: 0 }), 'bad-option')
    await expectError(model.sweep(WINDOWS, { signal: AbortSignal.abort() }), 'aborted')
    const { model: plain } = await bench().load({ checkpoint: { routers: undefined } as TinyOptions })
    const found = await plain.sweep([randomIds(9)], { shares: [0.5], seeds: 1, rounds: 0 })
    expect(found.lines.map(({ policy }) => policy)).not.toContain('skipgpt')
    await expectError(plain.sweep(WINDOWS, { policies: ['skipgpt'], rounds: 0 }), 'missing-weights')
    plain.dispose()
    await bench().stillWorks()
  })
})

describeSdk.anywhere('the loss under a policy that decides behind the beginning of an answer', (bench) => {
  it('is that of the answer: what it decides holds for the rest', async () => {
    const ids = WINDOWS[0]!
    const window = 6
    const tiny = tinyModel()
    const { model: profiled } = await bench().model.calibrate(WINDOWS)
    const execute = (sublayer: number) => sublayer !== 2
    const scale = () => 0.9
    const cache = reference(tiny).newCache()
    const start = reference(tiny).forward(ids.slice(0, 1 + window), { execute, scale }, cache)
    const cosines = [1, 3, 5].map((sublayer) => {
      const [before, behind] = [start.hidden[sublayer]!, start.hidden[sublayer + 1]!]
      const seen = compareStates(before.subarray(32), behind.subarray(32), window, 32)
      const mean = (of: (one: (typeof seen)[number]) => number) => seen.reduce((sum, one) => sum + of(one), 0) / window
      return { sublayer, cosine: mean(({ cosine }) => cosine), ratio: mean(({ ratio }) => ratio) }
    })
    cosines.sort((a, b) => b.cosine - a.cosine)
    const [added, next] = cosines as [(typeof cosines)[0], (typeof cosines)[0]]
    const rest = reference(tiny).forward(
      ids.slice(1 + window, -1),
      {
        execute: (sublayer) => execute(sublayer) && sublayer !== added.sublayer,
        scale: (sublayer) => (sublayer === added.sublayer ? added.ratio : 0.9),
      },
      cache,
    )
    const logits = Float64Array.from([...start.logits, ...rest.logits])
    const losses = nll(logits, Uint32Array.from(ids.slice(1)), ids.length - 1, 100)
    const expected = losses.reduce((sum, loss) => sum + loss, 0) / losses.length

    const profile = profileOf(profiled, [{ sublayer: 2, scale: 0.9 }])
    const similarity = profile.similarity.map((value, i) => (i === 2 ? (added.cosine + next.cosine) / 2 : value - 1))
    const { model } = await bench().load({ profile: { ...profile, similarity } })
    const evaluation = await model.evaluate([ids], { policy: `adaskip:skip=0.17,window=${window}` })
    expect(evaluation.nll).toBeCloseTo(expected, 4)
    // One sublayer of six, and another one behind the beginning.
    expect(evaluation.skip.total).toBeCloseTo((1 + (ids.length - 2 - window) / (ids.length - 1)) / 6, 10)
    const offline = await model.evaluate([ids], { policy: 'adaskip:skip=0.17,online=false' })
    expect(Math.abs(offline.nll - expected)).toBeGreaterThan(1e-3)
    model.dispose()
  })
})

it('policies are listed as they are asked for', () => {
  for (const { policy, share, seeded } of policies()) {
    if (!share) continue
    const { options } = policyAt(policy, 0.25, 7)
    expect(options[share]).toBe(policy.startsWith('unified') ? 4 / 3 : 0.25)
    expect(options.seed).toBe(seeded ? 7 : undefined)
  }
  expect(policies().map(({ policy }) => policy)).toEqual(expect.arrayContaining(['dense', 'adaskip:online=false']))
  expect(policyText(policyAt('adaskip:online=false', 0.1))).toBe('adaskip:online=false,skip=0.1')
  expect(() => policyAt('dense', 0.1)).toThrow(expect.objectContaining({ code: 'bad-option' }))
  expect(() => policyAt('random', 1.1)).toThrow(expect.objectContaining({ code: 'bad-option' }))
})
