import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { readJson, readTensors, sharedDir, sharedPresent } from '../fixtures/golden.js'
import { gpuSuite } from '../gpu/testing.js'
import { expectGradients, expectLosses } from '../tuning/golden-expectations.js'
import { type GoldenGradients, GoldenSteps } from '../tuning/golden-step.js'

describe.skipIf(!sharedPresent)('golden gradients', () => {
  if (!sharedPresent) return
  const steps = new GoldenSteps(
    readJson(join(sharedDir, 'golden', 'gradients.json')) as GoldenGradients,
    readTensors(join(sharedDir, 'golden', 'gradients.safetensors')),
  )

  gpuSuite('a training step', (bench) => {
    it.each([
      { name: 'stage1', slice: 97 },
      { name: 'stage1_post_attention', slice: 40 },
      { name: 'stage1_mlp_router', slice: 97 },
      { name: 'stage2', slice: 97 },
    ] as const)('$name', ({ name, slice }) => {
      const expected = steps.expected(name)
      return steps.take(bench.gpu, name, slice, async ({ losses, step, parameters, input }) => {
        expect([...(await step.gates())]).toEqual(expected.gates)
        expectLosses(losses, expected.losses)
        const gradients = () => parameters.read(parameters.gradients!)
        expectGradients(await gradients(), expected.gradients, expected.largest)
        // Gradients of batches add up.
        await step.run({ ...input, accumulation: 2 })
        const more = expected.gradients.map((t) => ({ ...t, data: t.data.map((value) => 1.5 * value) }))
        expectGradients(await gradients(), more, expected.largest)
      })
    })
  })
})
