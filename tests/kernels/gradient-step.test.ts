import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import type { Parameters, ParameterTensor } from '../../src/tuning/parameters.js'
import { readJson, readTensors, sharedDir, sharedPresent } from '../fixtures/golden.js'
import { expectClose, gpuSuite } from '../gpu/testing.js'
import { GRADIENT, LOSS } from '../tuning/golden-limits.js'
import { type GoldenGradients, GoldenSteps } from '../tuning/golden-step.js'

describe.skipIf(!sharedPresent)('golden gradients', () => {
  if (!sharedPresent) return
  const steps = new GoldenSteps(
    readJson(join(sharedDir, 'golden', 'gradients.json')) as GoldenGradients,
    readTensors(join(sharedDir, 'golden', 'gradients.safetensors')),
  )

  async function expectGradients(parameters: Parameters, expected: readonly ParameterTensor[], largest: number) {
    const gradients = await parameters.read(parameters.gradients!)
    expect([...gradients.keys()].sort()).toEqual(expected.map(({ name }) => name).sort())
    for (const { name, data } of expected) {
      // Without the floor of 1 that expectClose has for what is small.
      const relative = (values: Float32Array) => values.map((value) => value / largest)
      expectClose(relative(gradients.get(name)!), relative(data), GRADIENT, name)
    }
  }

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
        const values = ({ crossEntropy, executeRate, loss }: typeof losses) => [crossEntropy, executeRate, loss]
        expectClose(values(losses), values(expected.losses), LOSS, 'losses')
        await expectGradients(parameters, expected.gradients, expected.largest)
        // Gradients of batches add up.
        await step.run({ ...input, accumulation: 2 })
        const more = expected.gradients.map((t) => ({ ...t, data: t.data.map((value) => 1.5 * value) }))
        await expectGradients(parameters, more, expected.largest)
      })
    })
  })
})
