import { describe, expect, it } from 'vitest'
import { readProfile } from '../../src/skip/profile.js'
import { profileOf } from '../fixtures/profile.js'

const model = { layers: 2, fingerprint: 'abc' }
const good = profileOf(model, [{ sublayer: 1, scale: 1.2 }])
const margins = {
  routers: 'def',
  quantiles: [0.25, 0.75],
  mean: [-1, 1, 0, 2],
  at: [
    [-2, 0],
    [0, 2],
    [-1, 1],
    [1, 3],
  ],
}

describe('a skip profile', () => {
  it('survives JSON', () => {
    expect(readProfile(JSON.parse(JSON.stringify(good)), model)).toEqual(good)
    expect(readProfile(JSON.parse(JSON.stringify({ ...good, margins })), model)).toEqual({ ...good, margins })
  })

  it.each<[string, unknown]>([
    ['bad-file', null],
    ['bad-file', []],
    ['bad-file', 'text'],
    ['bad-file', {}],
    ['bad-file', { ...good, format: 'other' }],
    ['bad-file', { ...good, version: 2 }],
    ['bad-file', { ...good, model: undefined }],
    ['bad-file', { ...good, model: { layers: 2 } }],
    ['bad-file', { ...good, model: { ...model, layers: 1.5 } }],
    ['bad-file', { ...good, text: 'mine' }],
    ['bad-file', { ...good, tokens: 0 }],
    ['bad-file', { ...good, sample: [] }],
    ['bad-file', { ...good, sample: [1, 0.5] }],
    ['bad-file', { ...good, sample: [1, -1] }],
    ['bad-file', { ...good, similarity: good.similarity.slice(1) }],
    ['bad-file', { ...good, similarity: [0, 0, 0, null] }],
    ['bad-file', { ...good, similarity: [0, 0, 0, '1'] }],
    ['bad-file', { ...good, scale: [1, 1, 1, -1] }],
    ['bad-file', { ...good, scale: [1, 1, 1, Number.POSITIVE_INFINITY] }],
    ['bad-file', { ...good, layerSimilarity: undefined }],
    ['bad-file', { ...good, margins: { ...margins, mean: [1] } }],
    ['bad-file', { ...good, margins: { ...margins, at: [[1], [1], [1], [1]] } }],
    ['bad-file', { ...good, margins: { ...margins, at: margins.at.slice(1) } }],
    ['bad-file', { ...good, margins: { ...margins, quantiles: undefined } }],
    ['bad-file', { ...good, margins: { ...margins, routers: 3 } }],
    ['wrong-model', { ...good, model: { ...model, layers: 3 } }],
    ['wrong-model', { ...good, model: { ...model, fingerprint: 'abd' } }],
  ])('%s: %j', (code, value) => {
    expect(() => readProfile(value, model)).toThrow(
      expect.objectContaining({ code, message: expect.stringMatching(/\s.*[.]$/) }),
    )
  })
})
