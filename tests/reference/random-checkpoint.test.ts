import { describe, expect, it } from 'vitest'
import { toFloat32 } from '../../src/formats/half.js'
import { type FloatType, storeFloats } from '../fixtures/float-bytes.js'
import { loadOwnGolden } from '../fixtures/own-golden.js'
import { type Architecture, type CheckpointOptions, randomCheckpoint } from '../fixtures/random-checkpoint.js'
import { type HubConfig, referenceModel } from './hub-config.js'

const recipe: CheckpointOptions = {
  ...loadOwnGolden('gqa-tied-linear').recipe,
  layers: 2,
  seed: 1,
  shards: 3,
  lora: true,
}

function text(files: Map<string, Uint8Array>, name: string): string {
  return new TextDecoder().decode(files.get(name))
}

describe('storeFloats', () => {
  it.each<FloatType>(['F32', 'F16', 'BF16'])('says what a reader of %s gets', (dtype) => {
    const values = [0, 1, -1, 0.1, 1 / 3, 2047.5, 2048.5, 65504, 2 ** -14, 2 ** -24, 3 * 2 ** -25, -1e-6, 1.00146484375]
    const { bytes, stored } = storeFloats(values, dtype)
    expect(toFloat32(bytes, dtype)).toEqual(stored)
    const precision = { F32: 2 ** -24, F16: 2 ** -11, BF16: 2 ** -8 }[dtype]
    for (const [i, value] of values.entries()) {
      expect(Math.abs(stored[i]! - value)).toBeLessThanOrEqual(Math.max(precision * Math.abs(value), 2 ** -25))
    }
  })
})

it('storeFloats rounds ties to even', () => {
  expect([...storeFloats([1 + 2 ** -8, 1 + 3 * 2 ** -8], 'BF16').stored]).toEqual([1, 1 + 2 ** -6])
  expect([...storeFloats([2049, 2051], 'F16').stored]).toEqual([2048, 2052])
})

describe('randomCheckpoint', () => {
  it('gives the same bytes for the same options, and others for another seed', () => {
    const { files, tensors } = randomCheckpoint(recipe)
    const again = randomCheckpoint(recipe).files
    expect([...again.keys()]).toEqual([...files.keys()])
    for (const [name, bytes] of again) expect(Buffer.compare(bytes, files.get(name)!), name).toBe(0)
    const norm = randomCheckpoint({ ...recipe, seed: 2 }).tensors.get('model.norm.weight')
    expect(norm).not.toEqual(tensors.get('model.norm.weight'))
  })

  it('lists every tensor in the index, in a shard that exists', () => {
    const { files, tensors } = randomCheckpoint(recipe)
    const index = JSON.parse(text(files, 'model.safetensors.index.json')) as { weight_map: Record<string, string> }
    expect(Object.keys(index.weight_map).sort()).toEqual([...tensors.keys()].sort())
    for (const shard of Object.values(index.weight_map)) expect(files.has(shard)).toBe(true)
    expect([...files.keys()].filter((name) => name.startsWith('model'))).toHaveLength(4)
  })

  it('adapts existing weights', () => {
    const { files, tensors, lora } = randomCheckpoint(recipe)
    expect(JSON.parse(text(files, 'lora/adapter_config.json'))).toMatchObject({ r: 4, lora_alpha: 8 })
    expect(lora.size).toBe(2 * 3 * 2)
    for (const name of lora.keys()) {
      expect(tensors.has(name.replace('base_model.model.', '').replace(/lora_[AB]\./, ''))).toBe(true)
    }
  })

  it.each<Architecture>(['llama', 'mistral', 'qwen2', 'qwen3'])('makes a %s that runs', (architecture) => {
    const { files, tensors } = randomCheckpoint({ ...recipe, architecture })
    const hub = JSON.parse(text(files, 'config.json')) as HubConfig
    const { logits } = referenceModel(hub, tensors).forward([1, 20, 3, 77])
    expect(logits.every(Number.isFinite)).toBe(true)
  })
})
