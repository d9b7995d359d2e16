import path from 'node:path'
import { fileURLToPath } from 'node:url'
import { expect, it } from 'vitest'
import { dense, type FileSource, inspectModel, loadModel, type Model, skipgpt } from '../../src/index.js'
import { DirectorySource } from '../../src/node/fs-source.js'
import { readJson, sharedDir, sharedPresent } from '../fixtures/golden.js'
import { pebbleSource } from '../fixtures/pebble.js'
import { describeSdk, generated } from '../sdk/support.js'

// Quality by dtype on real checkpoints, dense and routed.

const golden = readJson(fileURLToPath(new URL('../golden-own/pebble.json', import.meta.url))) as {
  prompts: { long: number[] }
}
const shared = (name: string, ...below: readonly string[]) =>
  new DirectorySource(path.join(sharedDir, 'models', name, ...below))

interface Subject {
  readonly name: string
  readonly model: FileSource
  readonly routers: FileSource
  /** The ids to measure on; by default those of stories. */
  readonly ids?: readonly number[]
  /** Loss over that of f32 in 4 bits, at most: the smaller a model, the less it has to spare. */
  readonly q4: number
}

const PEBBLE: Subject = {
  name: 'Pebble',
  model: pebbleSource(),
  routers: pebbleSource('skipgpt-25'),
  ids: golden.prompts.long,
  q4: 0.05,
}
const SHARED: Subject[] = [
  { name: 'stories260k', model: shared('stories260k'), routers: shared('stories260k', 'skipgpt-25'), q4: 0.1 },
  {
    name: 'tinystories-656k',
    model: shared('tinystories-656k'),
    routers: shared('tinystories-656k', 'skipgpt-25'),
    q4: 0.05,
  },
]

describeSdk('dtypes', (_bench, gpu) => {
  const measure = async ({ model: source, routers, ids }: Subject, dtype: 'f32' | 'q8' | 'q4') => {
    const model = await loadModel(source, { gpu: gpu(), dtype, routers })
    const windows = ids ? [ids] : await storyIds(model)
    const { nll } = await model.evaluate(windows, { policy: dense() })
    const bits: string[] = []
    for (const window of windows) {
      const session = model.createSession({ policy: skipgpt() })
      await generated(session, window.slice(0, 250), { maxTokens: 1 })
      bits.push(...session.trace().steps.flatMap((step) => [...step.attention, ...step.mlp]))
      session.dispose()
    }
    const { gpuBytes } = model
    model.dispose()
    return { nll, bits, gpuBytes }
  }

  const check = async (subject: Subject) => {
    const [f32, q8, q4] = [await measure(subject, 'f32'), await measure(subject, 'q8'), await measure(subject, 'q4')]
    const changed = (bits: readonly string[]) => bits.filter((bit, i) => bit !== f32.bits[i]).length / bits.length
    expect(Math.abs(q8.nll / f32.nll - 1)).toBeLessThan(0.005)
    expect(Math.abs(q4.nll / f32.nll - 1)).toBeLessThan(subject.q4)
    expect(changed(q8.bits)).toBeLessThan(0.02)
    expect(changed(q4.bits)).toBeLessThan(0.1)
    expect(q8.gpuBytes).toBeLessThan(f32.gpuBytes)
    expect(q4.gpuBytes).toBeLessThan(q8.gpuBytes)
  }

  it('lose little in 8 bits and a little in 4, and take less memory: Pebble', () => check(PEBBLE))

  it.skipIf(!sharedPresent).each(SHARED)('lose little in 8 bits and a little in 4, and take less memory: $name', check)

  it('are told with the memory that they need before anything is loaded', async () => {
    const { architecture, parameters, bytes, memory, routers, fits } = await inspectModel(pebbleSource(), {
      gpu: gpu(),
      routers: pebbleSource('skipgpt-25'),
    })
    expect({ architecture, parameters, bytes }).toEqual({
      architecture: 'llama',
      parameters: 10_231_040,
      bytes: 10_892_288,
    })
    expect(routers).toEqual({ kind: 'linear', parameters: 28 * (2 * 256 + 2) })
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

async function storyIds(model: Model): Promise<number[][]> {
  const stories = readJson(path.join(sharedDir, 'data', 'tinystories', 'tinystories_1000.json')) as string[]
  const encoded = await Promise.all(stories.slice(0, 8).map((story) => model.text.encode(story)))
  return encoded.map((ids) => ids.slice(0, 256))
}
