import { describe, expect, it } from 'vitest'
import { loadOwnGolden, OWN_GOLDENS } from '../fixtures/own-golden.js'
import { randomCheckpoint } from '../fixtures/random-checkpoint.js'
import { bitmaps } from './bitmaps.js'
import { type HubConfig, referenceModel } from './hub-config.js'
import { foldRouters } from './routers.js'

describe.each(OWN_GOLDENS)('the reference model against the own golden runs of %s', (name) => {
  const golden = loadOwnGolden(name)
  const checkpoint = randomCheckpoint(golden.recipe)
  const hub = JSON.parse(new TextDecoder().decode(checkpoint.files.get('config.json'))) as HubConfig
  const model = referenceModel(hub, checkpoint.tensors)
  const routers = foldRouters(checkpoint.routers, golden.recipe.layers)

  it.each(golden.cases)('$prompt $mode', (expected) => {
    const { ids } = golden.prompts.find(({ id }) => id === expected.prompt)!
    const { delta, mlpRouterInput } = golden.modes[expected.mode]!
    const routed = delta !== undefined
    const { tokens, steps } = model.greedy(ids, 16, routed ? { routers, delta, mlpRouterInput } : {})

    expect(tokens).toEqual(expected.greedy)
    const logits = steps[0]!.logits.subarray(-model.config.vocabSize)
    expect(Array.from(logits, (value) => Number(value.toPrecision(6)))).toEqual(expected.logits)
    if (!routed) return
    expect(bitmaps(steps.slice(0, 1))).toEqual(expected.prefillExecute)
    expect(bitmaps(steps.slice(1))).toEqual(expected.decodeExecute)
  })
})

describe('the reference model by itself', () => {
  const checkpoint = randomCheckpoint({ ...loadOwnGolden('gqa-tied-linear').recipe, architecture: 'qwen3', layers: 2 })
  const hub = JSON.parse(new TextDecoder().decode(checkpoint.files.get('config.json'))) as HubConfig
  const model = referenceModel(hub, checkpoint.tensors)
  const options = { routers: foldRouters(checkpoint.routers, 2) }
  const ids = [1, 17, 4, 90, 33, 8]

  it('gives the same step by step as in one go', () => {
    const whole = model.forward(ids, options)
    const cache = model.newCache()
    const steps = [ids.slice(0, 4), ids.slice(4, 5), ids.slice(5)].map((part) => model.forward(part, options, cache))
    expect(bitmaps(steps)).toEqual(bitmaps([whole]))
    expect(steps.flatMap((step) => [...step.logits])).toEqual([...whole.logits])
  })

  it('lets `execute` decide in place of the routers', () => {
    const never = model.forward(ids, { ...options, execute: () => false })
    expect(never.hidden.at(-1)).toEqual(never.hidden[0])
    expect(never.z).toHaveLength(4)
    const some = model.forward(ids, { execute: (sublayer, position) => sublayer === 1 && position === 5 })
    expect(bitmaps([some])).toEqual({ attention: ['000000', '000000'], mlp: ['000001', '000000'] })
  })

  it('scales queries and keys by their head norms', () => {
    const other = new Map(checkpoint.tensors)
    const norm = other.get('model.layers.0.self_attn.q_norm.weight')!
    other.set('model.layers.0.self_attn.q_norm.weight', { shape: norm.shape, data: norm.data.map((w) => w * 2) })
    expect(referenceModel(hub, other).forward(ids).logits).not.toEqual(model.forward(ids).logits)
  })
})
