import { expect, it } from 'vitest'
import { describeWithGpu } from '../fixtures/dawn.js'
import { loadTiny, randomIds } from '../fixtures/tiny-model.js'
describeWithGpu('probe', (gpu) => {
  it('x', async () => {
    for (let i = 0; i < 3; i++) {
    const t0 = performance.now()
    const model = await loadTiny(gpu())
    const t1 = performance.now()
    const s = model.createSession({ policy: 'skipgpt', margins: true })
    const out: number[] = []
    let t = ''
    const t2 = performance.now()
    for await (const step of s.generate(randomIds(20), { maxTokens: 60, ignoreEos: true })) { if (step.kind === 'token') out.push(step.token); t += step.text }
    const t3 = performance.now()
    console.log(out.join(), t, s.stats(), t1 - t0, t3 - t2)
    model.dispose()
    expect(model.gpuBytes).toBe(0)
    }
  })
})
