import { afterAll, beforeAll, expect, it } from 'vitest'
import { loadModel, type Model } from '../../src/index.js'
import { describeWithGpu } from '../fixtures/dawn.js'
import { MemorySource } from '../fixtures/memory-source.js'
import { loadOwnGolden, OWN_GOLDENS } from '../fixtures/own-golden.js'
import { randomCheckpoint } from '../fixtures/random-checkpoint.js'
import { ownCase } from './cases.js'
import { compareRun } from './compare.js'
import { runCase } from './run-case.js'

describeWithGpu.each(OWN_GOLDENS)('own golden runs of %s', (gpu, name) => {
  const golden = loadOwnGolden(name)
  let model: Model
  beforeAll(async () => {
    model = await loadModel(new MemorySource(randomCheckpoint(golden.recipe).files), { gpu: gpu() })
  })
  afterAll(() => model?.dispose())

  it.each(golden.cases)('$prompt $mode', async (found) => {
    const { run, expected } = ownCase(golden, found)
    expect(compareRun(await runCase(model, run), expected)).toEqual({ problems: [], allowed: [] })
  })
})
