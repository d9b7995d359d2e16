import { describe, expect, it } from 'vitest'
import { parseSafetensors, readF32 } from '../../src/formats/safetensors.js'
import { inverseFrequencies, type RopeConfig, ropeTable } from '../../src/model/rope.js'
import { hasShared, readShared, readSharedJson } from '../formats/shared-data.js'

const plain: RopeConfig = { kind: 'default', theta: 10_000 }

/** Llama 3.2 1B. */
const llama3: RopeConfig = {
  kind: 'llama3',
  theta: 500_000,
  factor: 32,
  lowFreqFactor: 1,
  highFreqFactor: 4,
  originalContext: 8192,
}

describe('inverseFrequencies', () => {
  it('falls from 1 by powers of theta', () => {
    const frequencies = inverseFrequencies(plain, 4)
    expect(frequencies[0]).toBe(1)
    expect(frequencies[1]).toBeCloseTo(0.01, 15)
  })

  it('divides by the factor of linear scaling', () => {
    const scaled = inverseFrequencies({ kind: 'linear', theta: 10_000, factor: 4 }, 64)
    expect([...scaled]).toEqual([...inverseFrequencies(plain, 64)].map((frequency) => frequency / 4))
  })

  // theta^(-2i/64), then by wavelength 2π/f: below 8192/4 as it is, above 8192/1 over 32, between the two
  // ((1 − s)/32 + s) · f with s = (8192/wavelength − 1)/3. Evaluated in Python with transformers' formula.
  it.each([
    [0, 1],
    [14, 0.0032114459947525913],
    [15, 0.001290547928209264],
    [17, 9.70828780262767e-5],
    [18, 1.9461638184831125e-5],
    [31, 9.418306725434909e-8],
  ])('scales pair %i of Llama 3.2 as transformers does', (pair, expected) => {
    expect(inverseFrequencies(llama3, 64)[pair]! / expected).toBeCloseTo(1, 12)
  })
})

describe('ropeTable', () => {
  it('holds cosines, then sines, of each position', () => {
    const table = ropeTable(plain, 4, 3, 2)
    const row = (position: number): number[] => [
      Math.cos(position),
      Math.cos(position * 0.01),
      Math.sin(position),
      Math.sin(position * 0.01),
    ]
    expect(table).toHaveLength(8)
    expect(table).toEqual(Float32Array.from([...row(3), ...row(4)]))
  })

  it('is exact far out, where f32 angles are not', () => {
    // sin of 100000 rad, to nine digits.
    expect(ropeTable(plain, 4, 100_000, 1)[2]).toBeCloseTo(0.035748798, 7)
  })

  it('is empty for no positions', () => {
    expect(ropeTable(plain, 64, 7, 0)).toHaveLength(0)
  })
})

describe.skipIf(!hasShared)('golden rope tables', () => {
  interface Case {
    op: string
    name: string
    params: { theta: number }
    outputs: { cos: [number, number] }
  }
  const cases = hasShared
    ? (readSharedJson('golden/ops.json') as { cases: Case[] }).cases.filter(({ op }) => op === 'rope')
    : []

  it('are there', () => expect(cases.length).toBeGreaterThanOrEqual(4))

  it.each(cases.map((golden) => [golden.name, golden] as const))('%s', (name, { params, outputs }) => {
    const file = parseSafetensors(readShared('golden/ops.safetensors'))
    const read = (key: string): Float32Array =>
      readF32(file.entries.get(`${name}.${key}`)!, file.data(`${name}.${key}`))
    const positions = new Int32Array(file.data(`${name}.positions`).slice().buffer)
    const half = outputs.cos[1]
    const [cos, sin] = [read('cos'), read('sin')]
    positions.forEach((position, row) => {
      const table = ropeTable({ kind: 'default', theta: params.theta }, 2 * half, position, 1)
      for (let pair = 0; pair < half; pair++) {
        expect(Math.abs(table[pair]! - cos[row * half + pair]!)).toBeLessThan(1e-6)
        expect(Math.abs(table[half + pair]! - sin[row * half + pair]!)).toBeLessThan(1e-6)
      }
    })
  })
})
