import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import {
  loadModelGolden,
  type ModelGolden,
  readJson,
  readTensors,
  sharedDir,
  sharedPresent,
} from '../fixtures/golden.js'
import { withAdapter } from './adapter.js'
import { bitmaps } from './bitmaps.js'
import { gateSkipGates, gateSkipThreshold } from './gates.js'
import { type HubConfig, referenceModel } from './hub-config.js'
import type { ForwardOptions } from './model.js'
import { foldRouters } from './routers.js'

const CASES = [
  ['stories260k', 'p1', 'dense'],
  ['stories260k', 'p1', 'skipgpt-40'],
  ['stories260k', 'p1', 'skipgpt-mlp-router'],
  ['stories260k', 'p2', 'skipgpt-25-delta'],
  ['stories260k', 'p4', 'skipgpt-40-post-attention'],
  ['stories260k', 'p5', 'skipgpt-25-lora'],
  ['stories260k', 'p2', 'gateskip'],
  ['tinystories-656k', 'p1', 'dense'],
  ['tinystories-656k', 'p1', 'gateskip'],
  ['tinystories-656k', 'p1', 'skipgpt-40-lora'],
  ['tinystories-656k', 'p2', 'skipgpt-40'],
] as const

/** Greedy tokens to make, of the 64 in the golden files. */
const TOKENS = 12

describe.skipIf(!sharedPresent)('the reference model against the golden runs of an independent implementation', () => {
  it.each(CASES)('%s %s %s', (name, prompt, mode) => {
    const golden = loadModelGolden(name)
    const { model, options, threshold } = load(golden, mode)
    const expected = golden.find(prompt, mode)
    const { ids, trace } = golden.prompts.find(({ id }) => id === prompt)!
    const { tokens, steps } = model.greedy(ids, TOKENS, options)

    expect(tokens).toEqual(expected.greedy.slice(0, TOKENS))
    const { logits, hidden } = steps[0]!
    expectClose(logits.subarray(-model.config.vocabSize), golden.tensor(prompt, mode, 'logits').data)
    if (trace)
      expectClose(
        hidden.flatMap((x) => [...x]),
        golden.tensor(prompt, mode, 'hidden').data,
      )
    if (mode === 'dense') return

    expect(bitmaps(steps.slice(0, 1))).toEqual(expected.prefill_execute)
    const decoded = expected.decode_execute!
    expect(bitmaps(steps.slice(1))).toEqual({
      attention: decoded.attention.map((bits) => bits.slice(0, TOKENS - 1)),
      mlp: decoded.mlp.map((bits) => bits.slice(0, TOKENS - 1)),
    })
    const margins = steps[0]!.z.flatMap((z, i) => [...z.map((value) => value - threshold(i))])
    expectClose(margins, golden.tensor(prompt, mode, 'z_prefill').data)
  })
})

/** The checkpoint and the settings of a mode. */
function load(golden: ModelGolden, modeName: string) {
  const { kind, routers, weights, lora, delta, mlp_router_input } = golden.modes[modeName]!
  const hub = readJson(join(golden.folder, 'config.json')) as HubConfig
  const base = readTensors(join(golden.folder, 'model.safetensors'))
  const tensors = lora === undefined ? base : adapted(base, join(golden.folder, lora))

  const options: ForwardOptions = { delta }
  if (mlp_router_input === 'post_attention') options.mlpRouterInput = 'post-attention'
  if (routers !== undefined)
    options.routers = foldRouters(readTensors(join(golden.folder, routers)), hub.num_hidden_layers)
  const model = referenceModel(hub, tensors)
  if (weights === undefined) return { model, options, threshold: () => delta ?? 0 }
  const own = readTensors(join(sharedDir, 'golden', weights))
  if (kind !== 'gateskip') {
    options.routers = foldRouters(own, hub.num_hidden_layers)
    return { model, options, threshold: () => delta ?? 0 }
  }
  const threshold = (sublayer: number) => gateSkipThreshold(own, sublayer)
  options.gates = gateSkipGates(own, threshold)
  return { model, options, threshold }
}

function adapted(base: ReturnType<typeof readTensors>, folder: string) {
  const { lora_alpha } = readJson(join(folder, 'adapter_config.json')) as { lora_alpha: number }
  return withAdapter(base, readTensors(join(folder, 'adapter_model.safetensors')), lora_alpha)
}

/** Both sides compute in f64; the golden values are stored as f32, which moves them by at most 6e-8 of their size. */
function expectClose(actual: ArrayLike<number>, expected: ArrayLike<number>): void {
  expect(actual.length).toBe(expected.length)
  for (let i = 0; i < expected.length; i++) {
    const limit = 1e-7 * Math.max(1, Math.abs(expected[i]!))
    if (!(Math.abs(actual[i]! - expected[i]!) <= limit)) expect.fail(`[${i}]: ${actual[i]} instead of ${expected[i]}`)
  }
}
