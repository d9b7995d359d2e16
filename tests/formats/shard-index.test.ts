import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { SkipstoneError } from '../../src/errors.js'
import { parseShardIndex } from '../../src/formats/shard-index.js'

describe('parseShardIndex', () => {
  it('maps tensors to files', () => {
    const files = parseShardIndex({
      metadata: { total_size: 8 },
      weight_map: { a: 'model-00001-of-00002.safetensors', b: 'x' },
    })
    expect([...files]).toEqual([
      ['a', 'model-00001-of-00002.safetensors'],
      ['b', 'x'],
    ])
  })

  it.each([
    ['no map', {}],
    ['an empty map', { weight_map: {} }],
    ['a list', { weight_map: ['a'] }],
    ['a number', { weight_map: { a: 1 } }],
    ['an empty name', { weight_map: { a: '' } }],
    ['another folder', { weight_map: { a: 'sub/x.safetensors' } }],
    ['the folder above', { weight_map: { a: '..' } }],
    ['a Windows path', { weight_map: { a: 'c:\\x' } }],
    ['an address', { weight_map: { a: 'https://example.org/x' } }],
  ])('refuses %s', (_name, json) => {
    expect(() => parseShardIndex(json)).toThrow(expect.objectContaining({ code: 'bad-file' }))
  })

  it('throws nothing but SkipstoneError', () => {
    fc.assert(
      fc.property(fc.oneof(fc.jsonValue(), fc.record({ weight_map: fc.jsonValue() })), (json) => {
        try {
          for (const file of parseShardIndex(json).values()) expect(file).not.toMatch(/\/|\.\./)
        } catch (error) {
          if (!(error instanceof SkipstoneError)) throw error
        }
      }),
    )
  })
})
