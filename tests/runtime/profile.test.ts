import { expect, it } from 'vitest'
import { GpuProfile } from '../../src/gpu/profile.js'
import { dense } from '../../src/skip/dense.js'
import { profile } from '../../src/study/profile.js'
import { randomIds } from '../fixtures/tiny-model.js'
import { describeRuntime, generate } from './support.js'

describeRuntime('profile', (bench) => {
  it('times every kernel of a prefill and of a step, and says how near it comes to the limits', async () => {
    const { engine } = bench()
    const { limits, rows } = await profile(engine, { shape: 'tiny', tokens: [20], phases: ['prefill', 'decode'] })
    expect(limits.bytesPerSecond).toBeGreaterThan(1e6)
    expect(limits.flops).toBeGreaterThan(1e6)
    const { layers } = engine.shape.config
    for (const [phase, perLayer] of [
      ['prefill', { 'gemm qkv': 2, 'gemm o': 1, 'gemm gateUp': 1, 'gemm down': 1, 'attention-prefill': 1 }],
      [
        'decode',
        { 'qkv-decode': 1, 'attention-decode': 1, 'attention-output': 1, 'gate-up-decode': 1, 'down-decode': 1 },
      ],
    ] as const) {
      const ofPhase = rows.filter((row) => row.phase === phase)
      for (const [kernel, count] of Object.entries(perLayer)) {
        const row = ofPhase.find((one) => one.kernel === kernel)!
        expect(row, kernel).toMatchObject({ dispatches: count * layers, tokens: 20, shape: 'tiny' })
        expect(row.ms).toBeGreaterThan(0)
        expect(row.ofLimit).toBeGreaterThan(0)
      }
      expect(ofPhase.map(({ kernel }) => kernel)).toEqual(expect.arrayContaining(['embed', 'head', 'sample']))
      expect(ofPhase.reduce((sum, { share }) => sum + share, 0)).toBeCloseTo(1)
    }
    expect(engine.profile).toBeUndefined()
  })

  it('changes no token', async () => {
    const { engine } = bench()
    const ids = randomIds(20, 7)
    const plain = await generate(bench().sequence(dense), ids, 12)
    const timer = new GpuProfile(engine.gpu)
    engine.profile = timer
    const timed = await generate(bench().sequence(dense), ids, 12)
    engine.profile = undefined
    expect(timed.tokens).toEqual(plain.tokens)
    expect((await timer.read()).length).toBeGreaterThan(12)
    expect(await timer.read()).toEqual([])
    timer.destroy()
  })
})
