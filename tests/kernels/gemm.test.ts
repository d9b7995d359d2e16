import { describe, expect, it } from 'vitest'
import type { GemmOptions } from '../../shaders/snippets/gemm-options.js'
import { planSlot } from '../../shaders/snippets/plan.js'
import { KERNEL_FORMS } from '../../src/kernels/forms.js'
import { gemmKernel } from '../../src/kernels/gemm.js'
import { linear } from '../../src/kernels/reference/linear.js'
import { swiglu } from '../../src/kernels/reference/swiglu.js'
import { Prng } from '../fixtures/prng.js'
import {
  activeRows,
  expectClose,
  gpuSuite,
  noise,
  POISON,
  padRows,
  planOf,
  randomMatrix,
  range,
  takeRows,
  vectorTable,
} from '../gpu/testing.js'

const CAPACITY = 75
const K = 70
/** Rows of the weights before those of the product. */
const FIRST_ROW = 3

type Variant = Pick<GemmOptions, 'n' | 'dtype' | 'bias' | 'rows' | 'gather' | 'epilogue' | 'outputStride'>

const VARIANTS: Variant[] = [
  { n: 75, epilogue: 'store', rows: 'all', gather: false, bias: false, dtype: 'f32', outputStride: 75 },
  { n: 72, epilogue: 'store', rows: 'active', gather: true, bias: true, dtype: 'f16', outputStride: 76 },
  { n: 72, epilogue: 'add', rows: 'active', gather: false, bias: true, dtype: 'bf16', outputStride: 76 },
  { n: 75, epilogue: 'store', rows: 'active', gather: true, bias: false, dtype: 'q8', outputStride: 76 },
  { n: 75, epilogue: 'silu-up', rows: 'all', gather: false, bias: true, dtype: 'q4', outputStride: 75 },
  { n: 72, epilogue: 'add-masked', rows: 'all', gather: false, bias: true, dtype: 'f32', outputStride: 76 },
  { n: 72, epilogue: 'silu-up', rows: 'active', gather: false, bias: true, dtype: 'f32', outputStride: 76 },
  { n: 72, epilogue: 'scatter', rows: 'active', gather: true, bias: true, dtype: 'f32', outputStride: 76 },
  { n: 75, epilogue: 'add', rows: 'active', gather: true, bias: false, dtype: 'q4', outputStride: 76 },
]

const CHUNKS = [
  { name: 'every row', mask: Array(CAPACITY).fill(1) },
  { name: 'some rows', mask: range(35).map((row) => (row % 3 === 1 ? 1 : 0)) },
  // Of tiles of 16, which are made by halves: one row in the second half, and none.
  { name: '25 rows', mask: Array(25).fill(1) },
  { name: '24 rows', mask: Array(24).fill(1) },
  { name: 'the last row', mask: range(35).map((row) => (row === 34 ? 1 : 0)) },
  { name: 'no row', mask: Array(35).fill(0) },
]

/** Every form once; for those that take long to compile, some of the variants. */
const FORMS = [...new Set(KERNEL_FORMS.flatMap(({ value }) => [...value.gemms, ...value.batchGemms]))].map((form) => {
  const large = form.stagedK4 > 0 && form.rows * form.columns > 4
  const some = form.along ? [1, 6] : large ? [3, 6] : form.mostRows ? [0, 1, 3, 6] : VARIANTS.keys()
  const variants = [...some].map((i) => VARIANTS[i]!)
  const by = form.along
    ? `${form.along.lanes} along k, by ${form.along.adds}`
    : `${form.lanesX}x${form.lanesY}${form.broadcasts ? ', passed on' : ''}`
  return { name: `${form.rows}x${form.columns} by ${by}`, form, variants }
})

gpuSuite('gemm', (bench) => {
  const prng = new Prng(3)
  const x = noise(prng, CAPACITY * K)
  const bias = noise(prng, 2 * Math.max(...VARIANTS.map(({ n }) => n)))
  const vectors = vectorTable({ bias })
  const residual = noise(prng, CAPACITY * 76)

  for (const { name, form, variants } of FORMS) {
    describe.each(variants)(`${name}, $epilogue, $rows rows, $dtype`, (variant) => {
      const { n, epilogue, outputStride: stride, dtype } = variant
      const rowsOfWeights = epilogue === 'silu-up' ? 2 * n : n
      const { bytes, stored } = randomMatrix(prng, FIRST_ROW + rowsOfWeights, K, dtype)

      const product = (rows: readonly number[]) => {
        const weights = stored.subarray(FIRST_ROW * K)
        const y = linear(takeRows(x, rows, K), weights, rows.length, K, rowsOfWeights, variant.bias ? bias : undefined)
        if (epilogue !== 'silu-up') return y
        const all = range(rows.length)
        return swiglu(takeRows(y, all, n, 2 * n), takeRows(y.subarray(n), all, n, 2 * n))
      }

      it.for(CHUNKS)('$name', async ({ mask }, { skip }) => {
        const { gpu, arena } = bench
        skip(form.broadcasts === true && form.lanesX !== gpu.subgroupSize, 'subgroups have other sizes here')
        const from = variant.rows === 'active' ? activeRows(mask) : range(mask.length)
        const adds = epilogue === 'add' || epilogue === 'add-masked'
        const before = residual.slice(0, CAPACITY * stride)
        const kernel = await gemmKernel(gpu, { ...variant, k4: Math.ceil(K / 4), forms: [form] })
        const buffers = {
          plan: bench.upload(planOf({ rows: mask.length, start: 4, capacity: CAPACITY, execute: [[1], mask] })),
          x: bench.upload(padRows(x, K)),
          weights: bench.upload(bytes),
          vectors: bench.upload(vectors.data),
          y: adds ? bench.inout(before) : bench.poisoned(CAPACITY * stride),
          z: bench.upload(Float32Array.of(Number.NaN, ...mask.map((runs) => (runs ? 0 : -1e-6)))),
        }
        const params = { slot: planSlot(1, CAPACITY), firstRow: FIRST_ROW, bias: vectors.at.bias, z: 1 }
        await bench.run([kernel(arena, buffers, params)], { rows: CAPACITY })
        const after = await bench.floats(buffers.y)

        if (adds) {
          const rows = activeRows(mask)
          // Input rows are compact where the rows are active, unless they are gathered; the masked control takes them in place.
          const isCompact = epilogue === 'add' && !variant.gather
          const y = product(isCompact ? range(rows.length) : rows)
          const expected = Float64Array.from(before)
          rows.forEach((row, i) => {
            for (let j = 0; j < n; j++) expected[row * stride + j]! += y[i * n + j]!
          })
          expectClose(after, expected)
          return
        }
        const y = product(variant.gather ? from : range(from.length))
        const to = epilogue === 'scatter' ? from : range(from.length)
        expectClose(takeRows(after, to, n, stride), y)
        const words = new Uint32Array(after.buffer)
        const outside = range(words.length).filter((i) => i % stride >= n || !to.includes(Math.floor(i / stride)))
        expect(outside.filter((i) => words[i] !== POISON)).toEqual([])
      })
    })
  }
})
