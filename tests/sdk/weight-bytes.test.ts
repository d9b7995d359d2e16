import { readFileSync } from 'node:fs'
import path from 'node:path'
import { expect, test } from 'vitest'
import { type TraceFile, type TraceStep, weightBytesPerToken } from '../../src/index.js'
import { parseModelConfig } from '../../src/model/config.js'
import { PEBBLE } from '../fixtures/pebble.js'

const config = parseModelConfig(JSON.parse(readFileSync(path.join(PEBBLE, 'config.json'), 'utf8')))

/** Pebble's matrices by hand: 256 wide, MLP 640, 8 heads and 2 KV heads of 32, 4096 ids, 14 layers. */
const KV = 256 * 128
const ATTENTION = 2 * 256 * 256
const MLP = 3 * 256 * 640
const HEAD = 256 * 4096

function trace(...steps: readonly [attention: string, mlp: string][]): TraceFile {
  return { layers: 14, steps: steps.map(([attention, mlp], position) => ({ position, token: 1, attention, mlp })) }
}

const ALL = '1'.repeat(14)
const NONE = '0'.repeat(14)

test('weights of a token: what ran, K and V of every layer, and the head', () => {
  const f16 = { config, dtype: 'f16' } as const
  expect(weightBytesPerToken(f16, trace([ALL, ALL]))).toBe(2 * (14 * (KV + ATTENTION + MLP) + HEAD))
  expect(weightBytesPerToken(f16, trace([NONE, NONE]))).toBe(2 * (14 * KV + HEAD))
  expect(weightBytesPerToken(f16, trace([`1${NONE.slice(1)}`, NONE]))).toBe(2 * (14 * KV + ATTENTION + HEAD))
  expect(weightBytesPerToken(f16, trace([NONE, `${NONE.slice(1)}1`]))).toBe(2 * (14 * KV + MLP + HEAD))
  expect(weightBytesPerToken(f16, trace([ALL, NONE], [NONE, NONE]))).toBe(2 * (14 * (KV + ATTENTION / 2) + HEAD))
  expect(weightBytesPerToken(f16, trace())).toBe(0)
})

test('a fixed set leaves K and V out with its attentions', () => {
  const f16 = { config, dtype: 'f16' } as const
  const { layers, steps } = trace([NONE, ALL], [NONE, ALL])
  const [with13, withAll] = steps as [TraceStep, TraceStep]
  const read = weightBytesPerToken(f16, { layers, steps: [{ ...with13, keysValues: `0${ALL.slice(1)}` }, withAll] })
  expect(read).toBe(2 * (13.5 * KV + 14 * MLP + HEAD))
})

test('blocks count with their scales, and with q4 the head is in q8', () => {
  const q4 = weightBytesPerToken({ config, dtype: 'q4' }, trace([NONE, NONE]))
  expect(q4).toBeCloseTo((4.5 / 8) * 14 * KV + (8.5 / 8) * HEAD, 6)
})
