import { it } from 'vitest'
import { nllKernel } from '../../src/kernels/nll.js'
import { nll } from '../../src/kernels/reference/nll.js'
import { Prng } from '../fixtures/prng.js'
import { expectClose, gpuSuite, noise, planOf } from '../gpu/testing.js'

const ROWS = 5

gpuSuite('nll', (bench) => {
  it.each([
    { vocab: 97, rows: ROWS, offset: 0 },
    { vocab: 1031, rows: 3, offset: 80 },
    { vocab: 97, rows: 1, offset: -120 },
    { vocab: 97, rows: 0, offset: 0 },
  ])('$rows rows of $vocab logits around $offset', async ({ vocab, rows, offset }) => {
    const { gpu, arena } = bench
    const prng = new Prng(vocab)
    const logits = noise(prng, ROWS * vocab, 8).map((v) => v + offset)
    logits[3] = Number.NEGATIVE_INFINITY
    const targets = Uint32Array.of(vocab - 1, 0, 41, 7, 96)
    const kernel = await nllKernel(gpu, { vocab })
    const buffers = {
      plan: bench.upload(planOf({ rows, capacity: ROWS })),
      logits: bench.upload(logits),
      targets: bench.upload(targets),
      nll: bench.poisoned(ROWS),
    }
    await bench.run([kernel(arena, buffers)], { rows: ROWS })
    expectClose((await bench.floats(buffers.nll)).subarray(0, rows), nll(logits, targets, rows, vocab))
    await bench.expectUntouched(buffers.nll, { from: 0, to: rows })
  })
})
