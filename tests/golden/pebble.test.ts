import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { dense, loadModel, type Model, skipgpt } from '../../src/index.js'
import { describeWithGpu } from '../fixtures/dawn.js'
import { type Bitmaps, readJson } from '../fixtures/golden.js'
import { pebbleSource } from '../fixtures/pebble.js'
import { compareRun, type Expected, type Near } from './compare.js'
import { runCase } from './run-case.js'

interface PebbleGolden {
  readonly prompts: Readonly<Record<string, number[]>>
  readonly cases: readonly PebbleCase[]
}

interface PebbleCase {
  readonly prompt: string
  readonly mode: (typeof MODES)[number]
  readonly logits: number[]
  readonly greedy: number[]
  readonly greedyMinGap: number
  readonly greedyMinGapStep: number
  readonly prefillExecute?: Bitmaps
  readonly decodeExecute?: Bitmaps
  readonly near?: Near[]
}

const MODES = ['dense', 'skipgpt-25', 'skipgpt-40'] as const
const golden = readJson(fileURLToPath(new URL('../golden-own/pebble.json', import.meta.url))) as PebbleGolden

// Made in float64 by the code that trained the model, tools/train/golden.py.
describeWithGpu.each(MODES)('Pebble, %s', (gpu, mode) => {
  let model: Model
  beforeAll(async () => {
    const routed = mode !== 'dense' && { routers: pebbleSource(mode), lora: pebbleSource(mode, 'lora') }
    // f32: the merged LoRA is not rounded to the f16 of the file.
    model = await loadModel(pebbleSource(), { gpu: gpu(), dtype: mode === 'dense' ? 'stored' : 'f32', ...routed })
  })
  afterAll(() => model?.dispose())

  it.each(golden.cases.filter((c) => c.mode === mode))('$prompt prompt', async (found) => {
    const { logits, greedy, greedyMinGap, greedyMinGapStep, prefillExecute, decodeExecute, near = [] } = found
    const expected: Expected = {
      logits,
      greedy,
      near,
      minGap: greedyMinGap,
      minGapStep: greedyMinGapStep,
      ...(prefillExecute && { prefillExecute }),
      ...(decodeExecute && { decodeExecute }),
    }
    const ids = golden.prompts[found.prompt] as number[]
    const policy = mode === 'dense' ? dense() : skipgpt()
    const outcome = await runCase(model, { ids, policy, tokens: greedy.length, nll: false })
    expect(compareRun(outcome, expected).problems).toEqual([])
  })

  it.skipIf(mode === 'dense')('skips more the higher the threshold, from nothing to most', async () => {
    const ids = golden.prompts.long as number[]
    const skipped: number[] = []
    for (const delta of [-1e4, -4, -2, -1, -0.5, 0, 0.5, 1, 2, 4, 1e4]) {
      skipped.push((await model.evaluate([ids], { policy: skipgpt({ delta }) })).skip.total)
    }
    expect(skipped).toEqual([...skipped].sort((a, b) => a - b))
    expect(skipped[0]).toBe(0)
    expect(skipped.at(-1)).toBeGreaterThan(0.6)
  })
})
