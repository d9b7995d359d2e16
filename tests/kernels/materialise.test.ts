import { describe, expect, it } from 'vitest'
import type { FloatWeightDtype } from '../../shaders/snippets/stored.js'
import { toFloat32 } from '../../src/formats/half.js'
import { materialiseKernel } from '../../src/kernels/materialise.js'
import { mergeLora } from '../../src/kernels/reference/lora.js'
import { type FloatType, storeFloats } from '../fixtures/float-bytes.js'
import { Prng } from '../fixtures/prng.js'
import { asFloats, expectClose, gpuSuite, noise, POISON, padRows, storeMatrix } from '../gpu/testing.js'

const DTYPES: FloatWeightDtype[] = ['f32', 'f16', 'bf16']
const STORED: Record<FloatWeightDtype, FloatType> = { f32: 'F32', f16: 'F16', bf16: 'BF16' }

/** Odd rows: in 16-bit dtypes every second one starts in the middle of a word. */
const K = 7
const ROWS = 5
/** Rows of the target before those that are written, and all its rows. */
const TARGET_ROW = 2
const TARGET_ROWS = 9

gpuSuite('materialise', (bench) => {
  const setUp = async (o: { from: FloatWeightDtype; to: FloatWeightDtype; lora: boolean; k: number; rows: number }) => {
    const { gpu, arena } = bench
    const { k, rows, from, to } = o
    const prng = new Prng(k)
    const values = noise(prng, rows * k, 2)
    const { bytes, stored } = storeFloats(values, STORED[from])
    const rank = 3
    const a = noise(prng, rank * k)
    const b = noise(prng, rows * rank)
    const scale = 1.5
    const wordsPerRow = Math.ceil(k / 4) * (to === 'f32' ? 4 : 2)
    const buffers = {
      source: bench.upload(bytes),
      words: bench.poisoned(TARGET_ROWS * wordsPerRow),
      loraA: bench.upload(a),
      loraB: bench.upload(b),
    }
    const kernel = await materialiseKernel(gpu, { from, to, lora: o.lora })
    const merged = o.lora ? mergeLora(stored, a, b, scale, rows, k, rank) : stored
    const dispatch = (source: GPUBuffer, count: number, targetRow: number) =>
      kernel(arena, { ...buffers, source }, { rows: count, k, targetRow, rank, scale })
    return { buffers, dispatch, merged, wordsPerRow }
  }

  const expectRows = async (words: GPUBuffer, merged: ArrayLike<number>, k: number, to: FloatWeightDtype) => {
    const all = await bench.words(words)
    const perRow = all.length / TARGET_ROWS
    const rows = merged.length / k
    const written = all.slice(TARGET_ROW * perRow, (TARGET_ROW + rows) * perRow)
    expectClose(valuesOf(written, to), padRows(merged, k), ROUNDING[to])
    const outside = [...all.subarray(0, TARGET_ROW * perRow), ...all.subarray((TARGET_ROW + rows) * perRow)]
    expect(outside.every((word) => word === POISON)).toBe(true)
  }

  for (const from of DTYPES) {
    it.each(DTYPES)(`${from} to %s`, async (to) => {
      const { buffers, dispatch, merged } = await setUp({ from, to, lora: false, k: K, rows: ROWS })
      await bench.run([dispatch(buffers.source, ROWS, TARGET_ROW)])
      await expectRows(buffers.words, merged, K, to)
    })
  }

  it.each([
    ['f32', 'f32'],
    ['f16', 'bf16'],
    ['bf16', 'f16'],
  ] as const)('merges LoRA: %s to %s', async (from, to) => {
    const { buffers, dispatch, merged } = await setUp({ from, to, lora: true, k: K, rows: ROWS })
    await bench.run([dispatch(buffers.source, ROWS, TARGET_ROW)])
    await expectRows(buffers.words, merged, K, to)
  })

  it('keeps what the target can hold: the same bits for the same dtype', async () => {
    const specials = [0, -0, 1, -1.5, 65504, -65504, 2 ** -14, 0.333251953125, 1023]
    for (const dtype of DTYPES) {
      const { bytes, stored } = storeFloats(specials, STORED[dtype])
      const { gpu, arena } = bench
      const kernel = await materialiseKernel(gpu, { from: dtype, to: dtype, lora: false })
      const buffers = {
        source: bench.upload(bytes),
        words: bench.poisoned(dtype === 'f32' ? 12 : 6),
        loraA: bench.upload(stored),
        loraB: bench.upload(stored),
      }
      await bench.run([kernel(arena, buffers, { rows: 1, k: 9, targetRow: 0, rank: 0, scale: 0 })])
      expect(await bench.words(buffers.words), dtype).toEqual(wordsOf(storeMatrix(specials, 9, dtype).bytes))
    }
  })

  it('takes a matrix in pieces', async () => {
    const { buffers, dispatch, merged } = await setUp({ from: 'bf16', to: 'f16', lora: false, k: 260, rows: 6 })
    const source = (await bench.words(buffers.source)).slice()
    const tail = bench.upload(source.subarray((2 * 260 * 2) / 4))
    await bench.run([dispatch(buffers.source, 2, TARGET_ROW), dispatch(tail, 4, TARGET_ROW + 2)])
    await expectRows(buffers.words, merged, 260, 'f16')
  })

  describe('more rows than one dimension of a dispatch', () => {
    it('strides over them', async () => {
      const { gpu, arena } = bench
      const rows = 65535 + 6
      const values = Float32Array.from({ length: rows }, (_, row) => row)
      const kernel = await materialiseKernel(gpu, { from: 'f32', to: 'f32', lora: false })
      const buffers = {
        source: bench.upload(values),
        words: bench.poisoned(4 * rows),
        loraA: bench.upload(values),
        loraB: bench.upload(values),
      }
      await bench.run([kernel(arena, buffers, { rows, k: 1, targetRow: 0, rank: 0, scale: 0 })])
      expect(await bench.floats(buffers.words)).toEqual(padRows(values, 1))
    })
  })
})

/** Relative to values of up to about 8: the kernel rounds once; the direction is up to the device in f16. */
const ROUNDING: Record<FloatWeightDtype, number> = { f32: 1e-6, f16: 2 ** -10, bf16: 2 ** -8 }

function wordsOf(bytes: Uint8Array): Uint32Array {
  return new Uint32Array(bytes.slice().buffer)
}

function valuesOf(words: Uint32Array, dtype: FloatWeightDtype): Float32Array {
  if (dtype === 'f32') return asFloats(words)
  const halves = new Uint16Array(words.buffer, words.byteOffset, 2 * words.length)
  return toFloat32(new Uint8Array(halves.buffer, halves.byteOffset, halves.byteLength), STORED[dtype])
}
