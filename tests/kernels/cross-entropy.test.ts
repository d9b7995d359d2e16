import { expect, it } from 'vitest'
import { NO_TARGET } from '../../shaders/cross-entropy-slice.wgsl.js'
import { candidates } from '../../src/gpu/forms.js'
import { KERNEL_FORMS } from '../../src/kernels/forms.js'
import { crossEntropyHead, logitsStride } from '../../src/tuning/head.js'
import { stepLossesKernel } from '../../src/tuning/kernels/step-losses.js'
import { crossEntropy } from '../../src/tuning/reference/cross-entropy.js'
import { ratePenalty } from '../../src/tuning/reference/gates.js'
import { Prng } from '../fixtures/prng.js'
import { expectClose, gpuSuite, noise, padRows, planOf, randomMatrix } from '../gpu/testing.js'

const ROWS = 9
const CAPACITY = 11
const D = 30
const D4 = 8
const SUBLAYERS = 2

gpuSuite('cross-entropy over slices of the vocabulary', (bench) => {
  it.each([
    { vocab: 97, slice: 97, dtype: 'f32' },
    { vocab: 97, slice: 40, dtype: 'f32' },
    { vocab: 130, slice: 13, dtype: 'q8' },
    { vocab: 300, slice: 299, dtype: 'f16' },
  ] as const)('$vocab tokens by $slice, head in $dtype', async ({ vocab, slice, dtype }) => {
    const prng = new Prng(vocab)
    const { bytes, stored } = randomMatrix(prng, vocab, D, dtype)
    const state = noise(prng, CAPACITY * D, 3)
    const targets = Uint32Array.from({ length: CAPACITY }, () => prng.below(vocab))
    targets.set([0, vocab - 1, NO_TARGET], 1)
    const gates = Float32Array.from({ length: SUBLAYERS * CAPACITY }, () => prng.below(2))
    const squares = noise(prng, SUBLAYERS * CAPACITY)
    const share = 0.25
    const scale = 1 / (ROWS - 1)
    const forms = candidates(bench.gpu, KERNEL_FORMS)[0]!.value.gemms
    const options = { d4: D4, vocab, dtype, forms, slice }
    const [head, losses, ofSquares] = await Promise.all([
      crossEntropyHead(bench.gpu, options),
      stepLossesKernel(bench.gpu, { sublayers: SUBLAYERS, capacity: CAPACITY, penalty: 'rate' }),
      stepLossesKernel(bench.gpu, { sublayers: SUBLAYERS, capacity: CAPACITY, penalty: { squaresOf: D } }),
    ])
    const buffers = {
      plan: bench.upload(planOf({ rows: ROWS, capacity: CAPACITY })),
      settings: bench.upload(Float32Array.of(scale * share, 1, 0.4, 8, share)),
      targets: bench.upload(targets),
      state: bench.upload(padRows(state, D)),
      head: bench.upload(bytes),
      vectors: bench.upload(new Float32Array(4)),
      logits: bench.inout(new Float32Array(CAPACITY * logitsStride(options))),
      sums: bench.poisoned(4 * CAPACITY),
      dState: bench.poisoned(CAPACITY * D4 * 4),
      gates: bench.upload(gates),
      squares: bench.upload(squares),
      losses: bench.poisoned(4),
    }
    const parts = head(bench.arena, buffers)
    await bench.run([...parts.losses, losses(bench.arena, buffers)], { rows: CAPACITY })
    const alone = await bench.floats(buffers.losses)
    await bench.run([...parts.both, losses(bench.arena, buffers)], { rows: CAPACITY })
    expect([...(await bench.floats(buffers.losses))]).toEqual([...alone])

    const live = state.subarray(0, ROWS * D)
    const expected = crossEntropy(live, stored, targets.subarray(0, ROWS), scale, D)
    const ran = gates.filter((_, i) => i % CAPACITY < ROWS)
    const penalty = ratePenalty(ran, 0.4, 8)
    expectClose(
      await bench.floats(buffers.losses),
      [expected.loss, penalty.rate, expected.loss + penalty.loss, share * penalty.dGate],
      undefined,
      'losses',
    )
    await bench.run([ofSquares(bench.arena, buffers)])
    const square = squares.filter((_, i) => i % CAPACITY < ROWS).reduce((sum, own) => sum + own, 0)
    expectClose(
      await bench.floats(buffers.losses),
      [expected.loss, penalty.rate, expected.loss + (8 * square) / (SUBLAYERS * ROWS * D), 0],
      undefined,
      'losses with the mean square of gates',
    )
    const written = { from: 0, to: ROWS * D4 * 4 }
    const dState = expected.dState.map((value) => share * value)
    expectClose((await bench.floats(buffers.dState)).subarray(0, written.to), padRows(dState, D), undefined, 'dState')
    await bench.expectUntouched(buffers.dState, written)
  })
})
