import { fileURLToPath } from 'node:url'
import { expect, it } from 'vitest'
import { dense, inspectModel, loadModel, skipgpt } from '../../src/index.js'
import { readJson } from '../fixtures/golden.js'
import { pebbleSource } from '../fixtures/pebble.js'
import { describeSdk } from '../sdk/support.js'

// Quality by dtype on Pebble: the long prompt of its own goldens, under dense and routed runs.

const golden = readJson(fileURLToPath(new URL('../golden-own/pebble.json', import.meta.url))) as {
  prompts: { long: number[] }
}
const IDS = golden.prompts.long

describeSdk('dtypes', (_bench, gpu) => {
  const measure = async (dtype: 'f32' | 'f16' | 'q8' | 'q4') => {
    const model = await loadModel(pebbleSource(), { gpu: gpu(), dtype, routers: pebbleSource('skipgpt-25') })
    const { nll } = await model.evaluate([IDS], { policy: dense() })
    const session = model.createSession({ policy: skipgpt() })
    for await (const step of session.generate(IDS, { maxTokens: 1, temperature: 0 })) if (step.kind === 'token') break
    const bits = session.trace().steps.flatMap((step) => [...step.attention, ...step.mlp])
    const { gpuBytes } = model
    model.dispose()
    return { nll, bits, gpuBytes }
  }

  it('lose little in 8 bits and a little in 4, and take less memory', async () => {
    const [f32, q8, q4] = [await measure('f32'), await measure('q8'), await measure('q4')]
    const changed = (bits: readonly string[]) => bits.filter((bit, i) => bit !== f32.bits[i]).length / bits.length
    expect(Math.abs(q8.nll / f32.nll - 1)).toBeLessThan(0.005)
    expect(Math.abs(q4.nll / f32.nll - 1)).toBeLessThan(0.05)
    expect(changed(q8.bits)).toBeLessThan(0.02)
    expect(changed(q4.bits)).toBeLessThan(0.1)
    expect(q8.gpuBytes).toBeLessThan(f32.gpuBytes)
    expect(q4.gpuBytes).toBeLessThan(q8.gpuBytes)
  })

  it('are told with the memory that they need before anything is loaded', async () => {
    const { architecture, parameters, bytes, memory, routers, fits } = await inspectModel(pebbleSource(), {
      gpu: gpu(),
      routers: pebbleSource('skipgpt-25'),
    })
    expect({ architecture, parameters, bytes }).toEqual({
      architecture: 'llama',
      parameters: 4_625_088,
      bytes: 9_250_176,
    })
    expect(routers).toEqual({ kind: 'linear', parameters: 24 * (2 * 192 + 2) })
    expect(memory.f16).toBeGreaterThan(memory.q8)
    expect(memory.q8).toBeGreaterThan(memory.q4)
    expect(fits).toEqual({ f32: true, f16: true, q8: true, q4: true })
    const model = await loadModel(pebbleSource(), { gpu: gpu(), dtype: 'q4' })
    const { gpuBytes } = model
    expect(model.dtype).toBe('q4')
    model.dispose()
    expect(gpuBytes).toBeGreaterThan(memory.q4)
  })
})
