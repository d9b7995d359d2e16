import { describe, expect, it } from 'vitest'
import type { Adapter } from '../../src/model/adapter.js'
import type { Checkpoint } from '../../src/model/checkpoint.js'
import { parseModelConfig } from '../../src/model/config.js'
import { resolveDtypes } from '../../src/model/matrix-dtypes.js'
import { parse, tinyModel } from '../fixtures/tiny-model.js'

const config = parseModelConfig(parse(tinyModel({ layers: 1 }).files.get('config.json')!))
const attention = 'model.layers.0.self_attn'
const NAMES = {
  q: `${attention}.q_proj.weight`,
  k: `${attention}.k_proj.weight`,
  v: `${attention}.v_proj.weight`,
  o: `${attention}.o_proj.weight`,
  gate: 'model.layers.0.mlp.gate_proj.weight',
  up: 'model.layers.0.mlp.up_proj.weight',
  down: 'model.layers.0.mlp.down_proj.weight',
  embedding: 'model.embed_tokens.weight',
  head: 'lm_head.weight',
}

/** A checkpoint whose tensors are `all`, but for these. */
function stored(all: string, others: Partial<Record<keyof typeof NAMES, string>> = {}): Checkpoint {
  const entries = Object.entries(NAMES).map(([key, name]) => {
    const dtype = others[key as keyof typeof NAMES] ?? all
    return [name, { name, dtype, shape: [256, 256], start: 0, end: 0 }] as const
  })
  return { entries: new Map(entries), files: [], read: () => Promise.reject(new Error('nothing is read')) }
}

describe('the form of each matrix', () => {
  it('is what it is stored as', () => {
    const { layers, embedding, head } = resolveDtypes('stored', config, stored('Q4_K', { down: 'Q6_K', head: 'Q5_K' }))
    expect(layers).toEqual([{ qkv: 'q4_k', o: 'q4_k', gateUp: 'q4_k', down: 'q6_k' }])
    expect([embedding, head]).toEqual(['q4_k', 'q5_k'])
  })

  it('is one of plain floats where they are mixed, and f16 where blocks are', () => {
    const of = (checkpoint: Checkpoint) => resolveDtypes('stored', config, checkpoint).layers[0]!
    expect(of(stored('BF16', { up: 'F32' }))).toMatchObject({ qkv: 'bf16', gateUp: 'bf16' })
    expect(of(stored('Q4_K', { v: 'Q6_K' }))).toMatchObject({ qkv: 'f16', o: 'q4_k' })
    expect(of(stored('Q8_0', { v: 'F16' })).qkv).toBe('f16')
  })

  it('is f16 where a LoRA changes a K type; other blocks are made again', () => {
    const adapter = new Map([[NAMES.q, {}]]) as unknown as Adapter
    const of = (checkpoint: Checkpoint) => resolveDtypes('stored', config, checkpoint, adapter).layers[0]!
    expect(of(stored('Q4_K'))).toMatchObject({ qkv: 'f16', gateUp: 'q4_k' })
    expect(of(stored('Q8_0')).qkv).toBe('q8')
  })

  it('is what was asked for, with embedding and head never below 8 bits', () => {
    const { layers, embedding, head } = resolveDtypes('q4', config, stored('Q6_K'))
    expect(layers).toEqual([{ qkv: 'q4', o: 'q4', gateUp: 'q4', down: 'q4' }])
    expect([embedding, head]).toEqual(['q8', 'q8'])
  })
})
