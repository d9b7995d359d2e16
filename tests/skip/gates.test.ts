import { describe, expect, it } from 'vitest'
import { dllm, readDllm } from '../../src/skip/dllm.js'
import { dlo, readDlo } from '../../src/skip/dlo.js'
import { flexidepth, readFlexiDepth } from '../../src/skip/flexidepth.js'
import type { GateTensors } from '../../src/skip/gate-tensors.js'
import { gateskip, readGateSkip } from '../../src/skip/gateskip.js'
import { mindskip, readMindSkip } from '../../src/skip/mindskip.js'
import { calibratedThresholds, quantile } from '../../src/skip/quantile.js'
import {
  dllmTensors,
  dloTensors,
  flexiDepthTensors,
  gateSkipTensors,
  mindSkipTensors,
  type Tensors,
} from '../fixtures/gates.js'

const SIZE = { layers: 2, hiddenSize: 8 }
const NAME = 'model.layers.1.gate_mlp'
const noMargins = () => Promise.reject(new Error('nothing to calibrate'))

function failing(read: (tensors: GateTensors) => unknown, tensors: Tensors, code: string, part: string): void {
  expect(() => read(tensors)).toThrow(expect.objectContaining({ code, message: expect.stringContaining(part) }))
}

describe('gates of GateSkip', () => {
  const read = (tensors: GateTensors) => readGateSkip(tensors, SIZE)
  const tensors = (form: 'vector' | 'scalar' = 'vector') => gateSkipTensors(SIZE, { form, seed: 1 })
  const changed = (change: (tensors: Tensors) => void): Tensors => {
    const its = tensors()
    change(its)
    return its
  }

  it.each(['vector', 'scalar'] as const)('are read: %s', (form) => {
    const { attention, mlp, thresholds } = read(tensors(form))
    const outputs = form === 'vector' ? 8 : 1
    for (const gates of [attention, mlp]) expect(gates).toMatchObject({ reads: 'normed', outputs, tie: 'skips' })
    expect(mlp.layers[1]!.weight).toEqual(tensors(form).get(`${NAME}.weight`)!.data)
    expect(mlp.layers[1]!.bias).toEqual(tensors(form).get(`${NAME}.bias`)!.data)
    expect(thresholds).toEqual([0.5, 0.5, 0.5, 0.5])
  })

  it('may be of one kind of sublayer', async () => {
    const gates = read(gateSkipTensors(SIZE, { form: 'vector', seed: 1, kinds: ['attention'] }))
    const policy = await gateskip({ skip: undefined, threshold: 0.4 }, gates, noMargins)
    expect([0, 1, 2, 3].map((i) => policy.decide(i, 'prefill'))).toEqual(['routed', 'run', 'routed', 'run'])
    expect(policy).toMatchObject({ name: 'gateskip:threshold=0.4' })
    expect([0, 2].map((i) => policy.threshold(i))).toEqual([0.4, 0.4])
  })

  it('need a threshold of somebody', async () => {
    const gates = read(gateSkipTensors(SIZE, { form: 'vector', seed: 1, thresholds: false }))
    const options = { skip: undefined, threshold: undefined }
    await expect(gateskip(options, gates, noMargins)).rejects.toMatchObject({ code: 'bad-option' })
  })

  it('measure prompts by a quantile only of a share that is asked for', async () => {
    const gates = read(tensors())
    const prefill = 'quantile'
    await expect(gateskip({ prefill }, gates, noMargins)).rejects.toMatchObject({ code: 'bad-option' })
    await expect(gateskip({ threshold: 0.5, prefill }, gates, noMargins)).rejects.toMatchObject({ code: 'bad-option' })
    const margins = async () => Array.from({ length: 4 }, () => [0])
    const policy = await gateskip({ skip: 0.25, prefill }, gates, margins)
    expect(policy).toMatchObject({ name: 'gateskip:skip=0.25,prefill=quantile', scoring: { promptShare: 0.25 } })
    expect((await gateskip({ skip: 0, prefill }, gates, margins)).scoring).not.toHaveProperty('promptShare')
    expect((await gateskip({ skip: 0.25 }, gates, margins)).scoring).not.toHaveProperty('promptShare')
  })

  it.each([
    ['no gate', new Map(), 'missing-weights', 'gateskip'],
    [
      'a layer too many',
      changed((t) => t.set('model.layers.2.gate_mlp.bias', t.get(`${NAME}.bias`)!)),
      'wrong-model',
      '2',
    ],
    ['a bias without its matrix', changed((t) => t.delete(`${NAME}.weight`)), 'bad-file', `${NAME}.weight`],
    ['one threshold missing', changed((t) => t.delete(`${NAME}.threshold`)), 'bad-file', `${NAME}.threshold`],
    [
      'another width',
      changed((t) => t.set(`${NAME}.weight`, { shape: [8, 9], data: new Float32Array(72) })),
      'wrong-model',
      `${NAME}.weight`,
    ],
    [
      'too few rows',
      changed((t) => t.set(`${NAME}.weight`, { shape: [7, 8], data: new Float32Array(56) })),
      'bad-file',
      '[7, 8]',
    ],
    [
      'both forms',
      changed((t) => t.set(`${NAME}.weight`, { shape: [1, 8], data: new Float32Array(8) })),
      'bad-file',
      '[1, 8]',
    ],
    [
      'a value that is no number',
      changed((t) => t.set(`${NAME}.bias`, { shape: [8], data: new Float32Array(8).fill(Number.NaN) })),
      'bad-file',
      'NaN',
    ],
  ] as const)('%s', (_, its, code, part) => {
    failing(read, its, code, part)
  })
})

describe('routers of DLO', () => {
  const read = (tensors: GateTensors) => readDlo(tensors, SIZE)

  it('are of some layers', () => {
    const policy = dlo({ threshold: 0.5, factor: 2, gap: 0.05 }, read(dloTensors(SIZE, [1], 1)))
    expect([0, 1, 2, 3].map((i) => policy.decide(i, 'decode'))).toEqual(['run', 'run', 'run', 'routed'])
    expect(policy.name).toBe('dlo')
    // 0.5 · 2 + (s − 0.5) · 0.05
    expect(policy.scoring).toMatchObject({ mlp: { output: { offset: 0.975, gain: 0.05 }, reads: 'entry' } })
  })

  it('have the options that differ in their name', () => {
    const layers = read(dloTensors(SIZE, [0], 1))
    expect(dlo({ threshold: 0.4, factor: 2, gap: 0 }, layers).name).toBe('dlo:threshold=0.4,gap=0')
  })

  it('of another model are refused', () => {
    failing(read, new Map(), 'missing-weights', 'model.routers.0.weight')
    failing(read, dloTensors(SIZE, [2], 1), 'wrong-model', 'model.routers.2.weight')
    failing(read, dloTensors({ ...SIZE, hiddenSize: 9 }, [0], 1), 'wrong-model', '[1, 9]')
  })
})

describe('routers of MindSkip', () => {
  const read = (tensors: GateTensors) => readMindSkip(tensors, SIZE)

  it.each([true, false])('are of some attentions, with a bias: %s', (bias) => {
    const layers = read(mindSkipTensors(SIZE, [1], 1, bias))
    const policy = mindskip({ threshold: 0.5, form: 'sequence' }, layers)
    expect([0, 1, 2, 3].map((i) => policy.decide(i, 'decode'))).toEqual(['run', 'run', 'routed', 'run'])
    expect(policy.name).toBe('mindskip')
    expect(policy.scoring).toMatchObject({ attention: { reads: 'normed', tie: 'runs', pools: true } })
    const token = mindskip({ threshold: 0.6, form: 'token' }, layers)
    expect(token.name).toBe('mindskip:form=token,threshold=0.6')
    expect(token.scoring).not.toHaveProperty('attention.pools')
  })

  it('of another model are refused', () => {
    failing(read, new Map(), 'missing-weights', 'model.layers.0.router.weight')
    failing(read, mindSkipTensors(SIZE, [2], 1), 'wrong-model', 'model.layers.2.router')
    failing(read, mindSkipTensors({ ...SIZE, hiddenSize: 9 }, [0], 1), 'wrong-model', '[1, 9]')
  })
})

describe('routers and adapters of FlexiDepth', () => {
  const read = (tensors: GateTensors) => readFlexiDepth(tensors, SIZE)
  const PREFIX = 'model.layers.1'
  const changed = (change: (tensors: Tensors) => void): Tensors => {
    const its = flexiDepthTensors(SIZE, [0, 1], 1, { biases: true })
    change(its)
    return its
  }
  const filled = (shape: number[], value = 0) => {
    const data = new Float32Array(shape.reduce((product, n) => product * n, 1)).fill(value)
    return { shape, data }
  }

  it('are of some layers, and decide whole ones', () => {
    const policy = flexidepth({ threshold: 0.5 }, read(flexiDepthTensors(SIZE, [1], 1)))
    expect([0, 1, 2, 3].map((i) => policy.decide(i, 'decode'))).toEqual(['run', 'run', 'routed', 'routed'])
    expect(policy.name).toBe('flexidepth')
    const other = flexidepth({ threshold: 0.6 }, read(flexiDepthTensors(SIZE, [1], 1)))
    expect(other.name).toBe('flexidepth:threshold=0.6')
    expect([2, 3].map((i) => other.threshold(i))).toEqual([0.6, 0.6])
  })

  it('have one vector for what leads back and the head, and one matrix for gate and up', () => {
    const tensors = flexiDepthTensors(SIZE, [0, 1], 1, { biases: true })
    const values = (part: string) => tensors.get(`${PREFIX}.${part}`)!.data
    const { layers, ofLayers, ...others } = read(tensors)
    const { heads, activation, initials, adapters: its } = ofLayers!
    const { layers: adapters, ...sizes } = its!
    expect([activation, initials]).toEqual(['tanh', 0])
    expect(others).toEqual({ reads: 'normed', outputs: 5, tie: 'skips', output: { offset: 0, gain: 1 } })
    expect(layers[1]).toEqual({
      weight: values('router.router_enc.weight'),
      bias: values('router.router_enc.bias'),
    })
    const [head, back] = [values('router.router_head.weight'), values('router.router_dec.weight')]
    for (let j = 0; j < 5; j++) {
      const sum = [...head].reduce((total, value, i) => total + value * back[i * 5 + j]!, 0)
      expect(heads[1]!.weight[j]).toBeCloseTo(sum, 6)
    }
    const shift = [...head].reduce((total, value, i) => total + value * values('router.router_dec.bias')[i]!, 0)
    expect(heads[1]!.bias).toBeCloseTo(shift + values('router.router_head.bias')[0]!, 6)
    expect(heads[1]!.norm).toEqual(values('router.router_norm.weight'))
    const part = (name: string) => [
      ...values(`router_proj.gate_proj.${name}`),
      ...values(`router_proj.down_proj.${name}`),
    ]
    expect(sizes).toEqual({ units: 7, dtype: 'f32' })
    expect([...adapters[1]!.gateUp.weight]).toEqual(part('weight'))
    expect([...adapters[1]!.gateUp.bias]).toEqual(part('bias'))
    expect(adapters[1]!.down.weight).toEqual(values('router_proj.up_proj.weight'))
  })

  it('may be without biases, which are then 0', () => {
    const { layers, ofLayers } = read(flexiDepthTensors(SIZE, [0, 1], 1))
    const { heads } = ofLayers!
    const { layers: adapters } = ofLayers!.adapters!
    expect(layers[0]!.bias).toEqual(new Float32Array(5))
    expect(heads[0]!.bias).toBe(0)
    expect(adapters[0]!.gateUp.bias).toEqual(new Float32Array(14))
    expect(adapters[0]!.down.bias).toEqual(new Float32Array(8))
  })

  it('take half of the memory where bf16 holds every value of an adapter', () => {
    const tensors = flexiDepthTensors(SIZE, [0, 1], 1, { bf16: true })
    expect(read(tensors).ofLayers!.adapters!.dtype).toBe('bf16')
    for (const name of ['gate_proj', 'down_proj', 'up_proj']) {
      const its = flexiDepthTensors(SIZE, [0, 1], 1, { bf16: true })
      its.get(`${PREFIX}.router_proj.${name}.weight`)!.data[3] = 0.1
      expect(read(its).ofLayers!.adapters!.dtype, name).toBe('f32')
    }
  })

  it.each([
    ['none', new Map(), 'missing-weights', 'flexidepth'],
    ['a layer too many', flexiDepthTensors(SIZE, [2], 1), 'wrong-model', 'model.layers.2.router'],
    ['another width', flexiDepthTensors({ ...SIZE, hiddenSize: 9 }, [0], 1), 'wrong-model', '[5, 9]'],
    ['a router without its norm', changed((t) => t.delete(`${PREFIX}.router.router_norm.weight`)), 'bad-file', 'norm'],
    ['a router without its head', changed((t) => t.delete(`${PREFIX}.router.router_head.weight`)), 'bad-file', 'head'],
    ['a router alone', new Map([...flexiDepthTensors(SIZE, [0], 1)].slice(0, 4)), 'bad-file', 'router_proj.gate_proj'],
    ['an adapter alone', new Map([...flexiDepthTensors(SIZE, [0], 1)].slice(4)), 'bad-file', 'router.router_enc'],
    [
      'no units',
      changed((t) => t.set('model.layers.0.router.router_enc.weight', filled([0, 8]))),
      'bad-file',
      'router.router_enc',
    ],
    [
      'units that differ from layer to layer',
      changed((t) => t.set(`${PREFIX}.router_proj.gate_proj.weight`, filled([6, 8]))),
      'bad-file',
      '[6, 8]',
    ],
    [
      'a bias of another length',
      changed((t) => t.set(`${PREFIX}.router_proj.up_proj.bias`, filled([7]))),
      'wrong-model',
      'up_proj.bias',
    ],
    [
      'a value that is no number',
      changed((t) => t.set(`${PREFIX}.router_proj.up_proj.weight`, filled([8, 7], Number.NaN))),
      'bad-file',
      'NaN',
    ],
    [
      'a product that no f32 holds',
      changed((t) => {
        t.set(`${PREFIX}.router.router_head.weight`, filled([1, 8], 1e30))
        t.set(`${PREFIX}.router.router_dec.weight`, filled([8, 5], 1e30))
      }),
      'bad-file',
      'too large',
    ],
  ] as const)('%s', (_, its, code, part) => {
    failing(read, its, code, part)
  })
})

describe('routers of D-LLM', () => {
  const read = (tensors: GateTensors) => readDllm(tensors, SIZE)
  const changed = (change: (tensors: Tensors) => void): Tensors => {
    const its = dllmTensors(SIZE, [0, 1], 1)
    change(its)
    return its
  }

  it('are of some layers, decide whole ones, and leave holes', () => {
    const policy = dllm({ threshold: 0.5 }, read(dllmTensors(SIZE, [1], 1)))
    expect([0, 1, 2, 3].map((i) => policy.decide(i, 'prefill'))).toEqual(['run', 'run', 'routed', 'routed'])
    expect([policy.name, policy.skipped]).toEqual(['dllm', 'hole'])
    expect(dllm({ threshold: 0.6 }, read(dllmTensors(SIZE, [1], 1))).name).toBe('dllm:threshold=0.6')
  })

  it('have one logit, for running against skipping', () => {
    const tensors = dllmTensors(SIZE, [0, 1], 1)
    const values = (part: string) => tensors.get(`model.layers.1.router.${part}`)!.data
    const { layers, ofLayers, ...others } = read(tensors)
    expect(others).toEqual({ reads: 'entry', outputs: 5, tie: 'runs' })
    expect(layers[1]).toEqual({ weight: values('linear_1.weight'), bias: values('linear_1.bias') })
    const { heads, adapters, ...rest } = ofLayers!
    expect([adapters, rest]).toEqual([undefined, { activation: 'silu', initials: 2 }])
    const outer = values('linear_2.weight')
    expect([...heads[1]!.weight]).toEqual(Array.from({ length: 5 }, (_, i) => Math.fround(outer[5 + i]! - outer[i]!)))
    expect(heads[1]!.bias).toBe(values('linear_2.bias')[1]! - values('linear_2.bias')[0]!)
    expect(heads[1]!.norm).toEqual(values('norm.weight'))
  })

  it.each([
    ['none', new Map(), 'missing-weights', 'dllm'],
    ['a layer too many', dllmTensors(SIZE, [2], 1), 'wrong-model', 'model.layers.2.router'],
    ['another width', dllmTensors({ ...SIZE, hiddenSize: 9 }, [0], 1), 'wrong-model', '[5, 9]'],
    ['a router without its norm', changed((t) => t.delete('model.layers.1.router.norm.weight')), 'bad-file', 'norm'],
    [
      'a head of one row',
      changed((t) => t.set('model.layers.1.router.linear_2.bias', { shape: [1], data: new Float32Array(1) })),
      'wrong-model',
      '[2]',
    ],
  ] as const)('%s', (_, its, code, part) => {
    failing(read, its, code, part)
  })
})

describe('quantiles', () => {
  it.each([
    [0, 4],
    [1, 10],
    [0.5, 7],
    [0.25, 6],
    [0.3, 6.2],
  ])('%f of 5, 9, 7, 8, 6', (share, expected) => {
    expect(quantile([5, 9, 7, 8, 6], share)).toBeCloseTo(expected, 12)
  })

  it('settle although what later sublayers score depends on what earlier ones skip', async () => {
    const tokens = Array.from({ length: 100 }, (_, i) => ((i * 37) % 100) / 100)
    let passes = 0
    const policyAt = (thresholds: readonly number[]) => ({
      name: '',
      decide: () => 'routed' as const,
      threshold: (i: number) => thresholds[i]!,
    })
    const thresholds = await calibratedThresholds(policyAt, [0, 0], 0.4, async ({ threshold }) => {
      passes++
      const first = tokens.map((score) => score - threshold(0))
      return [first, tokens.map((score, i) => 1 - score + (first[i]! > 0 ? 0 : 0.7) - threshold(1))]
    })
    const skipped = tokens.filter((score) => score <= thresholds[0]!).length
    expect(skipped).toBe(40)
    const second = tokens.map((score) => 1 - score + (score > thresholds[0]! ? 0 : 0.7))
    expect(second.filter((score) => score <= thresholds[1]!)).toHaveLength(40)
    expect(passes).toBeLessThan(5)
  })
})
