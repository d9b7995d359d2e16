import { describe, expect, it } from 'vitest'
import { parseSafetensors, readF32 } from '../../src/formats/safetensors.js'
import { type RouterTensor, type RouterWeights, readRouters } from '../../src/skip/router-weights.js'
import { hasShared, readShared } from '../formats/shared-data.js'

const D = 3
const LAYERS = 2

const tensor = (shape: number[], from = 0): RouterTensor => ({
  shape,
  data: Float32Array.from({ length: shape.reduce((product, size) => product * size, 1) }, (_, i) => (from + i) ** 2),
})

/** Routers of two layers of width 3, as an official file names them. */
function routers(width?: number): Map<string, RouterTensor> {
  const tensors = new Map<string, RouterTensor>()
  for (let layer = 0; layer < LAYERS; layer++) {
    for (const kind of ['router_attention', 'router_mlp']) {
      const prefix = `model.layers.${layer}.${kind}`
      if (width !== undefined) {
        tensors.set(`${prefix}.hidden_layer.weight`, tensor([width, D], layer))
        tensors.set(`${prefix}.hidden_layer.bias`, tensor([width], layer))
      }
      tensors.set(`${prefix}.weight_predictor.weight`, tensor([2, width ?? D], layer))
      tensors.set(`${prefix}.weight_predictor.bias`, tensor([2], layer))
    }
  }
  return tensors
}

const read = (tensors: Iterable<readonly [string, RouterTensor]>): RouterWeights => readRouters(tensors, D, LAYERS)

const KEY = 'model.layers.1.router_mlp.weight_predictor.weight'

describe('readRouters', () => {
  it('folds linear routers to execute minus skip', () => {
    const { kind, attention, mlp } = read(routers())
    expect(kind).toBe('linear')
    expect(attention).toHaveLength(LAYERS)
    expect(attention[0]).toEqual({ weight: Float32Array.from([0 - 9, 1 - 16, 4 - 25]), bias: -1 })
    expect(mlp[1]).toEqual({ weight: Float32Array.from([1 - 16, 4 - 25, 9 - 36]), bias: -3 })
  })

  it('reads two-layer routers and folds their second layer', () => {
    const found = read(routers(2))
    if (found.kind !== 'two-layer') throw new Error('not two-layer')
    expect(found.width).toBe(2)
    expect(found.mlp[0]).toEqual({
      hiddenWeight: Float32Array.from([0, 1, 4, 9, 16, 25]),
      hiddenBias: Float32Array.from([0, 1]),
      weight: Float32Array.from([0 - 4, 1 - 9]),
      bias: -1,
    })
  })

  it('takes PEFT names, in any order, among the tensors of a whole model', () => {
    const wrapped = [...routers()].reverse().map(([name, value]) => [`base_model.model.${name}`, value] as const)
    const model = ['base_model.model.model.layers.0.block.mlp.up_proj.weight', tensor([4, D])] as const
    expect(read([model, ...wrapped])).toEqual(read(routers()))
  })

  const failing = (
    change: (tensors: Map<string, RouterTensor>) => void,
    code: string,
    part: string,
    width?: number,
  ): void => {
    const tensors = routers(width)
    change(tensors)
    expect(() => read(tensors)).toThrow(expect.objectContaining({ code, message: expect.stringContaining(part) }))
  }

  it('refuses files without routers', () => {
    failing((tensors) => tensors.clear(), 'missing-weights', 'router_attention')
  })

  it('refuses too few layers, too many, and another width', () => {
    const drop = (tensors: Map<string, RouterTensor>): void => {
      for (const name of [...tensors.keys()]) if (name.includes('layers.1.router_mlp')) tensors.delete(name)
    }
    failing(drop, 'wrong-model', 'model.layers.1.router_mlp')
    failing((tensors) => tensors.set(KEY.replace('1', '2'), tensor([2, D])), 'wrong-model', 'model.layers.2.router_mlp')
    failing((tensors) => tensors.set(KEY, tensor([2, D + 1])), 'wrong-model', KEY)
    failing(
      (tensors) => tensors.set(KEY.replace('weight_predictor', 'hidden_layer'), tensor([2, 9])),
      'wrong-model',
      'hidden_layer',
      2,
    )
  })

  it('refuses damaged tensors, naming the key', () => {
    const broken = (value: number): RouterTensor => ({ shape: [2, D], data: Float32Array.from([0, 1, value, 3, 4, 5]) })
    failing((tensors) => tensors.set(KEY, broken(Number.NaN)), 'bad-file', KEY)
    failing((tensors) => tensors.set(KEY, broken(Number.POSITIVE_INFINITY)), 'bad-file', KEY)
    failing(
      (tensors) => tensors.set(KEY, { shape: [2, D], data: Float32Array.from([3e38, 0, 0, -3e38, 0, 0]) }),
      'bad-file',
      KEY,
    )
    failing((tensors) => tensors.set(KEY, { ...tensor([2, D]), data: new Float32Array(5) }), 'bad-file', KEY)
    failing((tensors) => tensors.set(KEY, tensor([3, D])), 'bad-file', KEY)
    failing((tensors) => tensors.set(KEY, tensor([2])), 'bad-file', KEY)
    failing((tensors) => tensors.set(KEY, tensor([2, D, 1])), 'bad-file', KEY)
    failing((tensors) => tensors.delete(KEY), 'bad-file', KEY)
    failing((tensors) => tensors.set(KEY.replace('predictor', 'oracle'), tensor([2, D])), 'bad-file', 'weight_oracle')
    failing((tensors) => tensors.set(`base_model.model.${KEY}`, tensor([2, D])), 'bad-file', 'twice')
  })

  it('refuses damage in the hidden layer too', () => {
    const hidden = KEY.replace('weight_predictor.weight', 'hidden_layer')
    const bias = (...values: number[]): RouterTensor => ({ shape: [2], data: Float32Array.from(values) })
    failing((tensors) => tensors.set(`${hidden}.bias`, bias(0, Number.NaN)), 'bad-file', `${hidden}.bias`, 2)
    failing((tensors) => tensors.set(`${hidden}.bias`, bias(0, 1, 2)), 'bad-file', `${hidden}.bias`, 2)
    failing(() => {}, 'bad-file', 'hidden_layer.bias', 0)
  })

  it('refuses linear and two-layer routers in one file, and two widths', () => {
    const hidden = KEY.replace('weight_predictor.weight', 'hidden_layer')
    failing((tensors) => tensors.delete(`${hidden}.weight`), 'bad-file', `${hidden}.weight`, 2)
    const makeLinear = (tensors: Map<string, RouterTensor>): void => {
      tensors.delete(`${hidden}.weight`)
      tensors.delete(`${hidden}.bias`)
      tensors.set(KEY, tensor([2, D]))
    }
    failing(makeLinear, 'bad-file', hidden, 2)
    failing((tensors) => tensors.set(`${hidden}.bias`, tensor([3])), 'bad-file', `${hidden}.bias`, 2)
  })
})

describe.skipIf(!hasShared)('router files in shared', () => {
  const load = (path: string): [string, RouterTensor][] => {
    const { entries, data } = parseSafetensors(readShared(path))
    return Array.from(entries.values(), (entry) => [
      entry.name,
      { shape: entry.shape, data: readF32(entry, data(entry.name)) },
    ])
  }

  it.each([
    ['stories260k', 64, 5],
    ['tinystories-656k', 128, 2],
  ])('%s', (model, hiddenSize, layers) => {
    const linear = readRouters(load(`models/${model}/skipgpt-25/routers.safetensors`), hiddenSize, layers)
    expect(linear).toMatchObject({ kind: 'linear', attention: { length: layers }, mlp: { length: layers } })
    const twoLayer = readRouters(load(`golden/mlp_routers_${model}.safetensors`), hiddenSize, layers)
    expect(twoLayer).toMatchObject({ kind: 'two-layer', width: hiddenSize / 4, mlp: { length: layers } })
    expect(() => readRouters(load(`golden/mlp_routers_${model}.safetensors`), hiddenSize, layers - 1)).toThrow(
      expect.objectContaining({ code: 'wrong-model' }),
    )
  })
})
