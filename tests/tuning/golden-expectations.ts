import { expect } from 'vitest'
import type { StepLosses } from '../../src/tuning/gradient-step.js'
import type { ParameterTensor } from '../../src/tuning/parameters.js'
import { expectClose } from '../gpu/testing.js'

/** Of the golden README: below 1e-4 for losses, which are up to 8, and of gradients relative to the largest. */
const LOSS = 1e-5
const GRADIENT = 1e-4

export function expectLosses(actual: StepLosses, expected: StepLosses): void {
  for (const key of ['crossEntropy', 'executeRate', 'loss'] as const) {
    expectClose([actual[key]], [expected[key]], LOSS, key)
  }
}

/** By names; `largest` is the largest gradient of the case. Gives how far they are apart at most, relative to it. */
export function expectGradients(
  actual: ReadonlyMap<string, ArrayLike<number>>,
  expected: readonly ParameterTensor[],
  largest: number,
): number {
  expect([...actual.keys()].sort()).toEqual(expected.map(({ name }) => name).sort())
  // Without the floor of 1 that expectClose has for what is small.
  const relative = (values: ArrayLike<number>) => Array.from(values, (value) => value / largest)
  const apart = expected.map(({ name, data }) => {
    const [found, wanted] = [relative(actual.get(name)!), relative(data)]
    expectClose(found, wanted, GRADIENT, name)
    return Math.max(...found.map((value, i) => Math.abs(value - wanted[i]!)))
  })
  return Math.max(...apart)
}
