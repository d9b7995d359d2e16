import { fileURLToPath } from 'node:url'
import { expect, it } from 'vitest'
import { dense, skipgpt } from '../../src/index.js'
import { executed } from '../../src/runtime/records.js'
import { Sequence } from '../../src/runtime/sequence.js'
import { loadEngineModel } from '../../src/sdk/load-model.js'
import type { PolicyRequest } from '../../src/sdk/policies.js'
import { scoreSteps } from '../../src/study/score-steps.js'
import { describeWithGpu } from '../fixtures/dawn.js'
import { readJson } from '../fixtures/golden.js'
import { pebbleSource } from '../fixtures/pebble.js'

// What activations in 8 bits cost Pebble, dense and routed, in decode steps.

const golden = readJson(fileURLToPath(new URL('../golden-own/pebble.json', import.meta.url))) as {
  prompts: { long: number[] }
}

describeWithGpu('activations in 8 bits', (gpu) => {
  const measure = async (dtype: 'q8' | 'q4', activations: 'f32' | 'q8') => {
    const routers = pebbleSource('skipgpt-25')
    const model = await loadEngineModel(pebbleSource(), { gpu: gpu(), dtype, activations, routers })
    expect(model.device.activations).toBe(activations)
    const engine = await model.engine()
    const { contextLength, layers } = model.config
    const score = async (request: PolicyRequest) => {
      const sequence = new Sequence(engine, await model.resolve(request, engine), { contextLength })
      const { nll, records } = await scoreSteps(sequence, golden.prompts.long)
      sequence.destroy()
      const bits = records.flatMap((record) =>
        Array.from({ length: 2 * layers }, (_, sublayer) => executed(record.bits, sublayer)),
      )
      return { nll: nll.reduce((sum, value) => sum + value, 0) / nll.length, bits }
    }
    const [all, routed] = [await score(dense()), await score(skipgpt())]
    model.dispose()
    return { dense: all.nll, routed: routed.nll, bits: routed.bits }
  }

  it.each(['q8', 'q4'] as const)('lose next to nothing with weights in %s', async (dtype) => {
    const [f32, q8] = [await measure(dtype, 'f32'), await measure(dtype, 'q8')]
    const changed = q8.bits.filter((bit, i) => bit !== f32.bits[i]).length / f32.bits.length
    const rows = { dense: [f32.dense, q8.dense], routed: [f32.routed, q8.routed], changed }
    console.log(`${dtype}: ${JSON.stringify(rows)}`)
    expect(Math.abs(q8.dense / f32.dense - 1)).toBeLessThan(0.005)
    expect(Math.abs(q8.routed / f32.routed - 1)).toBeLessThan(0.01)
    expect(changed).toBeLessThan(0.02)
  })
})
