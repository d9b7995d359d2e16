import { expect, it } from 'vitest'
import { NO_TARGET } from '../../shaders/cross-entropy-slice.wgsl.js'
import { nextTokens } from '../../src/tuning/batch.js'
import { keptShare, temperature, warmCosine } from '../../src/tuning/schedules.js'

it('cools gates from 5 to 1 by optimiser steps, not by batches', () => {
  expect([0, 1, 2, 3, 4, 5, 8].map((n) => temperature(n, 2, 4))).toEqual([5, 5, 4, 4, 3, 3, 1])
})

it('warms up over a tenth of the steps and goes down along a cosine', () => {
  const rates = Array.from({ length: 21 }, (_, step) => warmCosine(step, 20))
  expect(rates.slice(0, 3)).toEqual([0.5, 1, 1])
  expect(rates[11]).toBeCloseTo(0.5, 12)
  expect(rates[20]).toBeCloseTo(0, 12)
  expect(warmCosine(0, 1)).toBe(1)
})

it('keeps everything at first and 1 − target at last', () => {
  expect([0, 1, 2, 3, 4].map((step) => keptShare(step, 5, 0.5))).toEqual([1, 0.875, 0.75, 0.625, 0.5])
  expect(keptShare(0, 1, 0.5)).toBe(1)
})

it('predicts within a sequence only, and not behind an end', () => {
  expect([...nextTokens([1, 5, 2, 1, 6, 7], 3, new Set([5]))]).toEqual([5, NO_TARGET, NO_TARGET, 6, 7, NO_TARGET])
})
