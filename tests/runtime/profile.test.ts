import { expect, it, vi } from 'vitest'
import { GpuProfile } from '../../src/gpu/profile.js'
import { dense } from '../../src/skip/dense.js'
import { skipgptPolicy } from '../../src/skip/skipgpt.js'
import { profile } from '../../src/study/profile.js'
import { randomIds } from '../fixtures/tiny-model.js'
import { describeRuntime, generate } from './support.js'

describeRuntime('profile', (bench) => {
  it('times every kernel of a prefill and of a step, and says how near it comes to the limits', async () => {
    const { engine } = bench()
    const attending = engine.gpu.isSoftware
      ? { 'attention-scores': 1, 'attention-values': 1 }
      : { 'attention-decode': 1 }
    const { limits, rows, sublayers } = await profile(engine, { tokens: [20], phases: ['prefill', 'decode'] })
    expect(limits.bytesPerSecond).toBeGreaterThan(1e6)
    expect(limits.flops).toBeGreaterThan(1e6)
    const { layers } = engine.shape.config
    for (const [phase, perLayer] of [
      ['prefill', { 'gemm qkv': 2, 'gemm o': 1, 'gemm gateUp': 1, 'gemm down': 1, 'attention-prefill': 1 }],
      ['decode', { 'qkv-decode': 1, ...attending, 'attention-output': 1, 'gate-up-decode': 1, 'down-decode': 1 }],
    ] as const) {
      const ofPhase = rows.filter((row) => row.phase === phase)
      for (const [kernel, count] of Object.entries(perLayer)) {
        const row = ofPhase.find((one) => one.kernel === kernel)!
        expect(row, kernel).toMatchObject({ dispatches: count * layers, tokens: 20 })
        expect(row.ms).toBeGreaterThan(0)
        expect(row.ofLimit).toBeGreaterThan(0)
      }
      expect(ofPhase.map(({ kernel }) => kernel)).toEqual(expect.arrayContaining(['embed', 'head', 'sample']))
      expect(ofPhase.reduce((sum, { share }) => sum + share, 0)).toBeCloseTo(1)
      const { ms, restMs } = sublayers.find((one) => one.phase === phase)!
      expect(ms).toHaveLength(2 * layers)
      expect(Math.min(...ms)).toBeGreaterThan(0)
      expect(restMs).toBeGreaterThan(0)
    }
  })

  it('times what a policy decides, and says nothing of limits then', async () => {
    const { engine, routers } = bench()
    const policy = skipgptPolicy({ routers, input: 'post-attention' })
    const onProgress = vi.fn()
    const { rows, sublayers } = await profile(engine, { policy, tokens: [8], phases: ['decode'], onProgress })
    expect(rows.filter(({ kernel }) => kernel.startsWith('router'))).not.toEqual([])
    expect(rows.every(({ ofLimit }) => ofLimit === null)).toBe(true)
    expect(sublayers[0]!.ms).toHaveLength(2 * engine.shape.config.layers)
    expect(onProgress.mock.calls).toEqual([0, 1, 2, 3].map((done) => [done, 4]))
  })

  it('leaves alone what other sequences do, and ends where it is aborted', async () => {
    const { engine } = bench()
    const ids = randomIds(9, 3)
    const plain = await generate(bench().sequence(dense), ids, 12)
    const timed = profile(engine, { tokens: [20], phases: ['decode'] })
    expect((await generate(bench().sequence(dense), ids, 12)).tokens).toEqual(plain.tokens)
    expect((await timed).sublayers).toHaveLength(1)
    const bytes = engine.gpu.memory.bytes
    const aborted = profile(engine, { tokens: [20], phases: ['decode'], signal: AbortSignal.abort() })
    await expect(aborted).rejects.toMatchObject({ code: 'aborted' })
    expect(engine.gpu.memory.bytes).toBe(bytes)
  })

  it('changes no token', async () => {
    const { engine } = bench()
    const ids = randomIds(20, 7)
    const plain = await generate(bench().sequence(dense), ids, 12)
    const timer = new GpuProfile(engine.gpu)
    const timed = await generate(bench().sequence(dense, { timer }), ids, 12)
    expect(timed.tokens).toEqual(plain.tokens)
    expect((await timer.read()).length).toBeGreaterThan(12)
    expect(await timer.read()).toEqual([])
    timer.destroy()
  })
})
