import { expect, it } from 'vitest'
import type { ProductEpilogue } from '../../shaders/product-strided.wgsl.js'
import { type Product, productKernel, rowMajor, transposed } from '../../src/tuning/kernels/product-strided.js'
import { product } from '../../src/tuning/reference/product.js'
import { Prng } from '../fixtures/prng.js'
import { expectClose, gpuSuite, noise, planOf } from '../gpu/testing.js'

gpuSuite('product-strided', (bench) => {
  const run = async (epilogue: ProductEpilogue, p: Product) => {
    const kernel = await productKernel(bench.gpu, epilogue)
    await bench.run([kernel(bench.arena, bench.upload(planOf({ rows: 0, capacity: 1 })), p)])
    return bench.floats(p.c.buffer)
  }

  it.each([
    { m: 21, n: 35, k: 9 },
    { m: 1, n: 1, k: 1 },
    { m: 17, n: 2, k: 70 },
  ])('forward, input and weight gradients of $m × $k by $n', async ({ m, n, k }) => {
    const prng = new Prng(m)
    const [x, w] = [noise(prng, m * (k + 3) + 5), noise(prng, n * k)]
    const a = rowMajor(bench.upload(x), k + 3, 5)
    const b = transposed(rowMajor(bench.upload(w), k))
    const forward = product({ values: x, at: 5, row: k + 3, column: 1 }, { values: w, row: 1, column: k }, m, n, k, 0.5)
    // Rows of the output have something between them.
    const c = { buffer: bench.inout(new Float32Array(2 + m * (n + 1)).fill(7)), at: 2, row: n + 1 }
    const y = await run('store', { a, b, c, m, n, k, alpha: 0.5 })
    expectClose(
      y.filter((_, i) => i >= 2 && (i - 2) % (n + 1) < n),
      forward,
    )
    expect([...y.filter((_, i) => i < 2 || (i - 2) % (n + 1) === n)]).toEqual(Array(2 + m).fill(7))

    const dy = noise(prng, m * n)
    const d = rowMajor(bench.upload(dy), n)
    const before = noise(prng, n * k)
    const dWeight = { buffer: bench.inout(before), row: k }
    const gradient = product({ values: dy, row: 1, column: n }, { values: x, at: 5, row: k + 3, column: 1 }, n, k, m)
    expectClose(
      await run('add', { a: transposed(d), b: a, c: dWeight, m: n, n: k, k: m }),
      gradient.map((value, i) => value + before[i]!),
    )
  })

  it('a hidden layer with ReLU, and its gradient in the place of the activations', async () => {
    const prng = new Prng(3)
    const [m, n, k] = [18, 19, 6]
    const [x, w, bias] = [noise(prng, m * k), noise(prng, n * k), noise(prng, n + 1)]
    const [a, b] = [rowMajor(bench.upload(x), k), transposed(rowMajor(bench.upload(w), k))]
    const hidden = { buffer: bench.poisoned(m * n), row: n }
    const linear = product({ values: x, row: k, column: 1 }, { values: w, row: 1, column: k }, m, n, k)
    const positive = linear.map((value, i) => Math.max(0, value + bias[1 + (i % n)]!))
    expectClose(await run('relu', { a, b, c: hidden, m, n, k, bias: { buffer: bench.upload(bias), at: 1 } }), positive)
    expectClose(
      await run('relu-backward', { a, b, c: hidden, m, n, k }),
      linear.map((value, i) => (positive[i]! > 0 ? value : 0)),
    )
  })
})
