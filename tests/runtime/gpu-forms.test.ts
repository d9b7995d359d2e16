import { afterAll, beforeAll, expect, it, vi } from 'vitest'
import { Batch } from '../../src/runtime/batch/batch.js'
import { Engine } from '../../src/runtime/engine.js'
import { Sequence } from '../../src/runtime/sequence.js'
import { chooseTarget } from '../../src/runtime/target.js'
import { dense } from '../../src/skip/dense.js'
import { skipgptPolicy } from '../../src/skip/skipgpt.js'
import { randomIds, TINY_CONTEXT } from '../fixtures/tiny-model.js'
import { describeRuntime, expectLikeReference, generate, reference, referenceRouting } from './support.js'

// Software devices run other kernels in decode steps: here they run those of GPUs, wired as there.

describeRuntime('the forms for GPUs', (bench) => {
  let engine: Engine
  let software: { mockRestore(): void }

  beforeAll(async () => {
    const { gpu, shape, weights } = bench().engine
    software = vi.spyOn(gpu, 'isSoftware', 'get').mockReturnValue(false)
    engine = new Engine(await chooseTarget(gpu, shape.config, weights.dtypes, 'all', { kept: 'shared-rows' }), weights)
  })
  afterAll(() => software.mockRestore())

  const sequence = (policy = dense) => new Sequence(engine, policy, { contextLength: TINY_CONTEXT })
  const routed = () => skipgptPolicy({ routers: bench().routers })

  it('generate as the reference does, in at most seven dispatches a layer', async () => {
    expect(engine.target.choice.form.name).toBe('shared-rows')
    const { tiny } = bench()
    const ids = randomIds(19)
    for (const [policy, options, dispatches] of [
      [dense, {}, 5],
      [routed(), referenceRouting(tiny), 6],
    ] as const) {
      const one = sequence(policy)
      await expectLikeReference(one, reference(tiny), ids, options)
      expect((await one.dispatchesPerLayer()).decode).toBe(dispatches)
      one.destroy()
    }
    const late = sequence(skipgptPolicy({ routers: bench().routers, input: 'post-attention' }))
    expect((await late.dispatchesPerLayer()).decode).toBe(7)
    late.destroy()
  })

  it('generate in a batch what each sequence generates alone', async () => {
    const together = vi.spyOn(Batch.prototype, 'decode')
    for (const policy of [dense, routed()]) {
      const prompts = [3, 20, 45].map((length, i) => randomIds(length, 7 + i))
      const alone = []
      for (const ids of prompts) alone.push(await generate(sequence(policy), ids, 30))
      expect(together).not.toHaveBeenCalled()
      const found = await Promise.all(prompts.map((ids) => generate(sequence(policy), ids, 30)))
      expect(together).toHaveBeenCalled()
      together.mockClear()
      expect(found.map(({ tokens }) => tokens)).toEqual(alone.map(({ tokens }) => tokens))
    }
    together.mockRestore()
  })
})
