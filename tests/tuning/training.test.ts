import { describe, expect, it } from 'vitest'
import { readAdapter } from '../../src/model/adapter.js'
import { openCheckpoint } from '../../src/model/checkpoint.js'
import { parseModelConfig } from '../../src/model/config.js'
import { runtimeShape } from '../../src/runtime/shape.js'
import { policyTensors } from '../../src/sdk/policy-tensors.js'
import { loadRouters } from '../../src/sdk/routers.js'
import { GATESKIP_TENSORS, readGateSkip } from '../../src/skip/gateskip.js'
import { readRouters } from '../../src/skip/router-weights.js'
import { drawBatch } from '../../src/tuning/batch.js'
import { adapterFiles, gateFiles, routerFiles } from '../../src/tuning/export.js'
import { initialLora, initialRouters, unfoldRouters } from '../../src/tuning/initial.js'
import { initialGates } from '../../src/tuning/initial-gates.js'
import { LossWatch } from '../../src/tuning/loss-watch.js'
import type { ParameterTensor } from '../../src/tuning/parameters.js'
import { routerRates } from '../../src/tuning/router-rates.js'
import { streamSeed } from '../../src/tuning/streams.js'
import { cutWindows, holdOut, joinDocuments } from '../../src/tuning/windows.js'
import { MemorySource } from '../fixtures/memory-source.js'
import { tinyModel } from '../fixtures/tiny-model.js'

const tiny = tinyModel()
const shape = runtimeShape(parseModelConfig(tiny.hub))
const { hiddenSize: d, layers } = shape.config

describe('a watch over losses', () => {
  const fed = (losses: readonly number[]) => {
    const watch = new LossWatch([], 2)
    return losses.findIndex((loss) => !watch.accepts(loss))
  }

  it('accepts what falls, what varies, and what is as it was', () => {
    expect(fed(Array.from({ length: 200 }, (_, i) => 5 * 0.98 ** i + 1 + (i % 3)))).toBe(-1)
  })

  it('refuses what is no number, at once', () => {
    expect(fed([2, 2, Number.NaN])).toBe(2)
    expect(fed([2, Number.POSITIVE_INFINITY])).toBe(1)
  })

  it('refuses a mean above twice the best, as soon as it is one over enough steps', () => {
    expect(fed([...Array(50).fill(2), ...Array(50).fill(8)])).toBe(50 + 6)
    // One bad batch is none.
    expect(fed([...Array(50).fill(2), 30, ...Array(50).fill(2)])).toBe(-1)
    // A run that leaves its start at once.
    expect(fed([2, ...Array(50).fill(8)])).toBe(19)
  })

  it('accepts any rise where that may be, but nothing that is no number', () => {
    const watch = new LossWatch([], Number.POSITIVE_INFINITY)
    for (const loss of [...Array(50).fill(1), ...Array(50).fill(100)]) expect(watch.accepts(loss)).toBe(true)
    expect(watch.isCalm).toBe(true)
    expect(watch.accepts(Number.NaN)).toBe(false)
  })

  it('says when a state is worth keeping', () => {
    const watch = new LossWatch(Array(30).fill(2), 2)
    expect(watch.isCalm).toBe(true)
    for (let i = 0; i < 3; i++) watch.accepts(8)
    expect(watch.isCalm).toBe(true)
    for (let i = 0; i < 2; i++) watch.accepts(6)
    expect(watch.isCalm).toBe(false)
  })
})

describe('what training begins with', () => {
  it('routers: uniform below √(3/d), one for each sublayer, as readers of routers take them', () => {
    const tensors = initialRouters(shape, 7, 'published')
    const routers = readRouters(
      tensors.map((t) => [t.name, t]),
      d,
      layers,
    )
    expect(routers.kind).toBe('linear')
    const weights = tensors.filter(({ name }) => name.endsWith('weight')).flatMap(({ data }) => [...data])
    const bound = Math.sqrt(3 / d)
    expect(Math.max(...weights.map(Math.abs))).toBeLessThanOrEqual(bound)
    expect(weights.reduce((sum, w) => sum + w * w, 0) / weights.length).toBeCloseTo(bound ** 2 / 3, 2)
    expect(new Set(weights).size).toBe(weights.length)
    expect(initialRouters(shape, 7, 'published')).toEqual(tensors)
    expect(initialRouters(shape, 8, 'published')).not.toEqual(tensors)
  })

  it('routers of the scaled recipe: all run, by a margin, whatever they read', () => {
    const tensors = initialRouters(shape, 7, 'scaled')
    expect(tensors.map((t) => [t.name, t.shape])).toEqual(
      initialRouters(shape, 7, 'published').map((t) => [t.name, t.shape]),
    )
    for (const { name, data } of tensors) {
      expect([...data]).toEqual(name.endsWith('bias') ? [1.5, -1.5] : Array(2 * d).fill(0))
    }
  })

  it('learning rates of routers: biases ten times, weights by the size of what they read', () => {
    const sizes = [1, 2, 3].map((size) => ({ entry: size, middle: 10 * size }))
    const of = (tensors: readonly ParameterTensor[], input: 'entry' | 'post-attention') => {
      const rates = routerRates(tensors, sizes, input)
      let at = 0
      return Object.fromEntries(
        tensors.map(({ name, data }) => {
          const own = rates.subarray(at, at + data.length)
          at += data.length
          expect(new Set(own).size).toBe(1)
          return [name.replace('model.layers.', ''), own[0]]
        }),
      )
    }
    const one = of(initialRouters(shape, 7, 'scaled'), 'entry')
    expect(one).toMatchObject({
      '0.router_attention.weight_predictor.weight': 1,
      '0.router_attention.weight_predictor.bias': 10,
      '1.router_attention.weight_predictor.weight': 0.5,
      '1.router_mlp.weight_predictor.weight': 0.5,
      '2.router_mlp.weight_predictor.bias': 10,
    })
    const behind = of(initialRouters(shape, 7, 'scaled'), 'post-attention')
    expect(behind['1.router_attention.weight_predictor.weight']).toBe(0.5)
    expect(behind['1.router_mlp.weight_predictor.weight']).toBeCloseTo(1 / 20, 6)
    const two = [
      { name: 'model.layers.1.router_mlp.hidden_layer.weight', shape: [2, d], data: new Float32Array(2 * d) },
      { name: 'model.layers.1.router_mlp.hidden_layer.bias', shape: [2], data: new Float32Array(2) },
      { name: 'model.layers.1.router_mlp.weight_predictor.weight', shape: [2, 2], data: new Float32Array(4) },
      { name: 'model.layers.1.router_mlp.weight_predictor.bias', shape: [2], data: new Float32Array(2) },
    ]
    expect(Object.values(of(two, 'entry'))).toEqual([0.5, 1, 1, 10])
    // Nothing to divide by.
    expect(routerRates(two, [sizes[0]!, { entry: 0, middle: 0 }], 'entry')[0]).toBe(1)
  })

  it('a LoRA: A uniform below 1/√k, B zero', () => {
    const options = { rank: 4, targets: ['self_attn.v_proj', 'mlp.down_proj'] } as const
    const tensors = initialLora(shape, options, 7)
    expect(tensors.map(({ name }) => name)).toContain('model.layers.2.mlp.down_proj.lora_B.weight')
    const down = tensors.find(({ name }) => name === 'model.layers.1.mlp.down_proj.lora_A.weight')!
    expect(down.shape).toEqual([4, shape.config.intermediateSize])
    expect(Math.max(...down.data.map(Math.abs))).toBeLessThanOrEqual(1 / Math.sqrt(shape.config.intermediateSize))
    for (const { name, data } of tensors) expect(data.every((value) => value === 0)).toBe(name.includes('lora_B'))
  })

  it('gates: nearly open, W normal', () => {
    const tensors = initialGates(shape, 7)
    expect(tensors).toHaveLength(4 * layers)
    const ofBias = tensors.filter(({ name }) => name.endsWith('bias')).flatMap(({ data }) => [...data])
    expect(new Set(ofBias)).toEqual(new Set([5]))
    const weights = tensors.filter(({ name }) => name.endsWith('weight')).flatMap(({ data }) => [...data])
    const mean = (values: readonly number[]) => values.reduce((sum, value) => sum + value, 0) / values.length
    expect(mean(weights)).toBeCloseTo(0, 3)
    expect(Math.sqrt(mean(weights.map((w) => w * w)))).toBeCloseTo(0.01, 3)
    // Of a normal distribution.
    expect(mean(weights.map((w) => (Math.abs(w) < 0.01 ? 1 : 0)))).toBeCloseTo(0.683, 1)
    expect(Math.max(...weights)).toBeGreaterThan(0.03)
    expect(initialGates(shape, 7)).toEqual(tensors)
    expect(initialGates(shape, 8)).not.toEqual(tensors)
  })

  it.each(['linear', 'two-layer'] as const)(
    '%s routers that were loaded: both logits, with the same difference',
    (kind) => {
      const made = tinyModel({ routers: kind })
      const read = (tensors: Iterable<readonly [string, { shape: readonly number[]; data: Float32Array }]>) =>
        readRouters(tensors, d, layers)
      const routers = read(made.routers)
      const unfolded = unfoldRouters(routers)
      expect(read(unfolded.map((t) => [t.name, t]))).toEqual(routers)
      expect(unfolded.map(({ name }) => name).sort()).toEqual([...made.routers.keys()].sort())
    },
  )
})

it('draws batches by lot, the same for a seed and a number', () => {
  const windows = Array.from({ length: 10 }, (_, i) => [i, i])
  const draw = (counter: number) => [...drawBatch(windows, 3, streamSeed(1, 'batches'), counter)]
  expect(draw(5)).toEqual(draw(5))
  expect(draw(0)).toHaveLength(6)
  const drawn = new Set(Array.from({ length: 30 }, (_, i) => draw(i)).flat())
  expect(drawn.size).toBe(10)
  expect(new Set(['parameters', 'batches', 'noise', 'text'].map((s) => streamSeed(1, s as 'text'))).size).toBe(4)
})

describe('windows of a text', () => {
  const marks = { bos: 1, eos: 2 }

  it('begin with BOS, are full, and have EOS and BOS between documents', () => {
    const ids = joinDocuments([[5, 6, 7], [8, 9], [10]], marks)
    expect(ids).toEqual([5, 6, 7, 2, 1, 8, 9, 2, 1, 10])
    expect(cutWindows(ids, 4, 1)).toEqual([
      [1, 5, 6, 7],
      [1, 2, 1, 8],
      [1, 9, 2, 1],
    ])
    expect(joinDocuments([[5], [6]], { bos: 1, eos: undefined })).toEqual([5, 1, 6])
    expect(cutWindows([5, 6], 4, 1)).toEqual([])
  })

  it('are held back in part, and may be too few', () => {
    const windows = Array.from({ length: 40 }, (_, i) => [1, i])
    const { windows: train, held } = holdOut(windows, 8, 2)
    expect([...train, ...held]).toEqual(windows)
    expect(held).toHaveLength(4)
    expect(holdOut(Array(2000).fill([1, 2]), 8, 2).held).toHaveLength(64)
    const failing = () => holdOut(windows.slice(0, 8), 8, 200)
    expect(failing).toThrow(/at least 1791 tokens/)
    expect(failing).toThrow(expect.objectContaining({ code: 'bad-option' }))
    expect(holdOut(windows.slice(0, 9), 8, 200).held).toHaveLength(1)
  })
})

describe('what training leaves', () => {
  it('routers are read by their loader', async () => {
    const tensors = initialRouters(shape, 7, 'published')
    const files = routerFiles(tensors, { target: 0.25, input: 'post-attention' }, { steps: '8' })
    const routers = await loadRouters(new MemorySource(files), shape.config, undefined)
    expect(routers).toEqual(
      readRouters(
        tensors.map((t) => [t.name, t]),
        d,
        layers,
      ),
    )
    const header = new TextDecoder().decode(files.get('routers.safetensors')!.subarray(8, 200))
    expect(header).toContain(
      '"skip_target":"0.25","mlp_router_input":"post_attention","logit_order":"execute,skip","steps":"8"',
    )
  })

  it('gates and their thresholds are read by their loader, and are no routers', async () => {
    const thresholds = Array.from({ length: 2 * layers }, (_, i) => ({
      name: `model.layers.${i >> 1}.gate_${i % 2 === 0 ? 'attention' : 'mlp'}.threshold`,
      shape: [1],
      data: Float32Array.of(i / 8),
    }))
    const tensors = initialGates(shape, 7)
    const source = new MemorySource(gateFiles([...tensors, ...thresholds], { target: 0.25 }, { steps: '8' }))
    expect(await loadRouters(source, shape.config, undefined)).toBeUndefined()
    const found = await policyTensors(GATESKIP_TENSORS, await openCheckpoint(tiny.source), source)
    const gates = readGateSkip(found, shape.config)
    expect(gates.thresholds).toEqual(Array.from({ length: 2 * layers }, (_, i) => i / 8))
    expect(gates.mlp.outputs).toBe(d)
    const weight = tensors.find(({ name }) => name === 'model.layers.1.gate_mlp.weight')!
    expect(gates.mlp.layers[1]!.weight).toEqual(weight.data)
  })

  it('a LoRA is read by its loader', async () => {
    const options = { rank: 4, alpha: 6, targets: ['self_attn.q_proj', 'mlp.down_proj'] } as const
    const tensors = initialLora(shape, options, 7)
    const adapter = await readAdapter(new MemorySource(adapterFiles(tensors, options)))
    expect(adapter.size).toBe(2 * layers)
    const update = adapter.get('model.layers.2.mlp.down_proj.weight')!
    expect(update).toMatchObject({ rank: 4, scale: 1.5, k: shape.config.intermediateSize, n: d })
    const a = tensors.find(({ name }) => name === 'model.layers.2.mlp.down_proj.lora_A.weight')!
    expect(update.a).toEqual(a.data)
  })
})
