import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { loadModel, type Model } from '../../src/index.js'
import { DirectorySource } from '../../src/node/fs-source.js'
import { describeWithGpu } from '../fixtures/dawn.js'
import { loadModelGolden, type ModelMode, sharedDir, sharedPresent } from '../fixtures/golden.js'
import { MemorySource } from '../fixtures/memory-source.js'
import { profileOf } from '../fixtures/profile.js'
import { SHARED_LOADS, SHARED_MODELS, STATIC_LOADS, sharedCase, staticScales } from './cases.js'
import { compareRun } from './compare.js'
import { runCase } from './run-case.js'

const LOADS = [...SHARED_LOADS, ...STATIC_LOADS]

describe.skipIf(!sharedPresent)('golden runs of an independent implementation', () => {
  describeWithGpu.each(SHARED_MODELS)('%s', (gpu, name) => {
    const golden = sharedPresent ? loadModelGolden(name) : undefined

    it('covers every mode', () => {
      expect(LOADS.flat().sort()).toEqual(Object.keys(golden!.modes).sort())
    })

    describe.each(LOADS.map((modes) => ({ modes })))('$modes', ({ modes }) => {
      let model: Model
      beforeAll(async () => {
        model = await load(gpu(), golden!.folder, golden!.modes[modes.at(-1)!]!)
      })
      afterAll(() => model?.dispose())

      const cases = modes.flatMap((mode) => (golden?.prompts ?? []).map(({ id }) => ({ mode, prompt: id })))
      it.each(cases)('$prompt $mode', async ({ mode, prompt }) => {
        const { run, expected } = sharedCase(golden!, prompt, mode)
        const { problems, allowed } = compareRun(await runCase(model, run), expected)
        expect(problems).toEqual([])
        // Known near-ties may fall either way; a case that is mostly not compared would be no test.
        expect(allowed.length).toBeLessThanOrEqual(expected.near.length + 1)
      })
    })
  })
})

async function load(gpu: GPU, folder: string, mode: ModelMode): Promise<Model> {
  const { routers, weights, lora } = mode
  if (mode.kind === 'static') {
    const source = new DirectorySource(folder)
    const plain = await loadModel(source, { gpu })
    const profile = profileOf((await plain.calibrate([[1]])).model, staticScales(mode))
    plain.dispose()
    return loadModel(source, { gpu, profile })
  }
  const file = weights ? join(sharedDir, 'golden', weights) : join(folder, routers!)
  return loadModel(new DirectorySource(folder), {
    gpu,
    routers: new MemorySource(new Map([['routers.safetensors', new Uint8Array(readFileSync(file))]])),
    ...(lora && { lora: new DirectorySource(join(folder, lora)) }),
  })
}
