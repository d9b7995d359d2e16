import { expect, it } from 'vitest'
import { litestage } from '../../src/skip/litestage.js'
import { parsePolicy } from '../../src/skip/registry.js'
import { profileOf } from '../fixtures/profile.js'
import { skippedSublayers } from './sets.js'

const profile = {
  ...profileOf({ layers: 3, fingerprint: 'abc' }, []),
  similarity: [0.1, 0.9, 0.5, 0.8, 0.9, 0.2],
}

it('leaves out as many of one ranking as the stage may', () => {
  const of = (budgets: number[], stage: number) => skippedSublayers(litestage({ budgets, stage, profile }), 3)
  expect(of([2, 4, 0], 1)).toEqual([1, 4])
  expect(of([2, 4, 0], 2)).toEqual([1, 2, 3, 4])
  expect(of([2, 4, 0], 3)).toEqual([])
  expect(of([6], 1)).toEqual([0, 1, 2, 3, 4, 5])
  expect(litestage({ budgets: [2, 4], stage: 2, profile }).name).toBe('litestage:budgets=2/4,stage=2')
  expect(() => of([2, 4], 3)).toThrow(expect.objectContaining({ code: 'bad-option' }))
  expect(() => of([7], 1)).toThrow(expect.objectContaining({ code: 'bad-option' }))
})

it.each([
  'litestage',
  'litestage:budgets=a/b',
  'litestage:budgets=1/-2',
  'litestage:budgets=1/',
  'litestage:budgets=1/2,stage=0',
])('%s is refused', (text) => expect(() => parsePolicy(text)).toThrow(expect.objectContaining({ code: 'bad-option' })))

it('takes one stage too', () => expect(parsePolicy('litestage:budgets=8').options).toEqual({ budgets: 8 }))
