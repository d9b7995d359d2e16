import { expect, test } from 'vitest'
import { MarginStatistics } from '../../src/study/margin-statistics.js'

const router = { weight: Float32Array.of(1), bias: 0 }
const routers = { kind: 'linear', attention: [router], mlp: [router] } as const

test('margins below what was thought are asked for again', () => {
  const statistics = new MarginStatistics(routers, 1)
  const record = (bits: number, ...margins: number[]) => ({
    token: undefined,
    bits: Uint32Array.of(bits),
    margins: Float32Array.from(margins),
    keysValues: [true],
  })
  expect(statistics.policy.threshold(0)).toBe(-64)
  expect(statistics.add([record(0b11, 65, 60), record(0b01, 70, -1)])).toBe(false)
  expect(statistics.policy.threshold(0)).toBe(-4096)
  expect(statistics.add([record(0b11, 4097, 4092), record(0b11, 4102, 4026)])).toBe(true)
  expect(statistics.found).toMatchObject({
    mean: [3.5, -37],
    at: [
      [1, 1, 6, 6, 6],
      [-70, -70, -4, -4, -4],
    ],
  })
})
