import { expect, it } from 'vitest'
import type { SkipstoneError } from '../../src/index.js'
import { Prng } from '../fixtures/prng.js'
import { randomIds } from '../fixtures/tiny-model.js'
import { describeSdk } from '../sdk/support.js'

describeSdk.anywhere('generations that are aborted', (bench) => {
  it('1,000 of them leave the GPU byte counter where it was', async () => {
    const random = new Prng(7)
    const baseline = await bench().gpuBytes()
    let aborted = 0
    for (let i = 0; i < 1000; i++) {
      using session = bench().session({ policy: i % 2 === 0 ? 'skipgpt' : 'dense' })
      const controller = new AbortController()
      // Before the prompt, with it, or some tokens later.
      let left = random.below(12)
      if (left === 0) controller.abort()
      try {
        const options = { temperature: 0, ignoreEos: true, maxTokens: 40, signal: controller.signal }
        for await (const _ of session.generate(randomIds(1 + random.below(30), i), options)) {
          if (--left <= 0) controller.abort()
        }
      } catch (error) {
        expect((error as SkipstoneError).code).toBe('aborted')
        aborted++
      }
    }
    expect(aborted).toBe(1000)
    expect(await bench().gpuBytes()).toBe(baseline)
    await bench().stillWorks()
  })
})
