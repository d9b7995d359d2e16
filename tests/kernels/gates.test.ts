import { expect, it } from 'vitest'
import { gateApplyKernel } from '../../src/tuning/kernels/gate-apply.js'
import { gateApplyBackwardKernel } from '../../src/tuning/kernels/gate-apply-backward.js'
import { gateSampleKernel } from '../../src/tuning/kernels/gate-sample.js'
import { gateSampleBackwardKernel } from '../../src/tuning/kernels/gate-sample-backward.js'
import { gatedBackward, sampleGates, sampleGatesBackward } from '../../src/tuning/reference/gates.js'
import { Prng } from '../fixtures/prng.js'
import { expectClose, gpuSuite, noise, padRows, planOf, range } from '../gpu/testing.js'

const CAPACITY = 70
const SUBLAYERS = 3
const sublayer = 1
const TAU = 2.5

gpuSuite('gates of training', (bench) => {
  it.each([67, 1, 0])('are sampled, and pass the gradient of their soft form, %i rows', async (rows) => {
    const prng = new Prng(rows)
    const [logits, sampled] = [noise(prng, 2 * CAPACITY), noise(prng, 2 * SUBLAYERS * CAPACITY)]
    const bias = [0.25, -0.5]
    const own = sampled.subarray(2 * CAPACITY * sublayer, 2 * CAPACITY * (sublayer + 1))
    // An exact tie executes; far away the soft form is flat.
    logits.set([0.5, 1.25, 3000, 0, -3000, 0])
    own.set([0, 0])
    const dGates = noise(prng, CAPACITY)
    const penalty = 0.125
    const [sample, backward] = await Promise.all([
      gateSampleKernel(bench.gpu, { capacity: CAPACITY }),
      gateSampleBackwardKernel(bench.gpu, { capacity: CAPACITY }),
    ])
    const buffers = {
      plan: bench.upload(planOf({ rows, capacity: CAPACITY })),
      settings: bench.upload(Float32Array.of(1, TAU, 0.75, 8, 1)),
      losses: bench.upload(Float32Array.of(0, 0, 0, penalty)),
      logits: bench.upload(logits),
      parameters: bench.upload(Float32Array.of(9, ...bias)),
      noise: bench.upload(sampled),
      gates: bench.poisoned(SUBLAYERS * CAPACITY),
      soft: bench.poisoned(SUBLAYERS * CAPACITY),
      dGates: bench.upload(dGates),
      dLogits: bench.poisoned(2 * CAPACITY),
    }
    await bench.run(
      [sample(bench.arena, buffers, { sublayer, bias: 1 }), backward(bench.arena, buffers, { sublayer })],
      { rows: CAPACITY },
    )
    const biased = logits.subarray(0, 2 * rows).map((value, i) => value + bias[i % 2]!)
    const expected = sampleGates(biased, own, TAU)
    const written = { from: CAPACITY * sublayer, to: CAPACITY * sublayer + rows }
    const live = (values: Float32Array) => values.subarray(written.from, written.to)
    expect([...live(await bench.floats(buffers.gates))]).toEqual([...expected.gates])
    expectClose(live(await bench.floats(buffers.soft)), expected.soft)
    await bench.expectUntouched(buffers.gates, written)
    await bench.expectUntouched(buffers.soft, written)
    expectClose(
      (await bench.floats(buffers.dLogits)).subarray(0, 2 * rows),
      sampleGatesBackward(
        dGates.map((value) => value + penalty),
        expected.soft,
        TAU,
      ),
    )
    await bench.expectUntouched(buffers.dLogits, { from: 0, to: 2 * rows })
  })

  it.each([
    { d: 70, rows: 9 },
    { d: 300, rows: 1 },
    { d: 8, rows: 0 },
  ])('multiply the output of a sublayer, $rows rows of $d', async ({ d, rows }) => {
    const prng = new Prng(d)
    const width = 4 * Math.ceil(d / 4)
    const [x, branch, dy] = range(3).map(() => noise(prng, rows * d)) as [Float32Array, Float32Array, Float32Array]
    const gates = noise(prng, SUBLAYERS * CAPACITY)
    const own = gates.subarray(CAPACITY * sublayer, CAPACITY * sublayer + rows)
    const options = { d4: width / 4, capacity: CAPACITY }
    const [apply, backward] = await Promise.all([
      gateApplyKernel(bench.gpu, options),
      gateApplyBackwardKernel(bench.gpu, { ...options, scales: 'dy' }),
    ])
    const buffers = {
      plan: bench.upload(planOf({ rows, capacity: CAPACITY })),
      x: bench.upload(padRows(x, d)),
      gates: bench.upload(gates),
      branch: bench.inout(padRows(branch, d)),
      y: bench.poisoned(rows * width),
      dy: bench.upload(padRows(dy, d)),
      dGates: bench.poisoned(CAPACITY),
    }
    await bench.run([apply(bench.arena, buffers, { sublayer }), backward(bench.arena, buffers, { sublayer })], {
      rows: Math.max(1, rows),
    })
    const y = x.map((value, i) => value + own[Math.floor(i / d)]! * branch[i]!)
    const expected = gatedBackward(branch, own, dy)
    expectClose(await bench.floats(buffers.y), padRows(y, d))
    expectClose(await bench.floats(buffers.branch), padRows(expected.dBranch, d))
    expectClose((await bench.floats(buffers.dGates)).subarray(0, rows), expected.dGates)
    await bench.expectUntouched(buffers.dGates, { from: 0, to: rows })
  })

  it.each([
    { d: 70, rows: 9 },
    { d: 300, rows: 1 },
    { d: 8, rows: 0 },
  ])('get their gradients of what a projection reads, too, $rows rows of $d', async ({ d, rows }) => {
    const prng = new Prng(d + 1)
    const [read, dRead] = range(2).map(() => noise(prng, rows * d)) as [Float32Array, Float32Array]
    const gates = noise(prng, SUBLAYERS * CAPACITY)
    const own = gates.subarray(CAPACITY * sublayer, CAPACITY * sublayer + rows)
    const backward = await gateApplyBackwardKernel(bench.gpu, {
      ...{ d4: Math.ceil(d / 4), capacity: CAPACITY, scales: 'own' },
    })
    const buffers = {
      plan: bench.upload(planOf({ rows, capacity: CAPACITY })),
      dy: bench.upload(padRows(read, d)),
      gates: bench.upload(gates),
      branch: bench.inout(padRows(dRead, d)),
      dGates: bench.poisoned(CAPACITY),
    }
    await bench.run([backward(bench.arena, buffers, { sublayer })], { rows: Math.max(1, rows) })
    // The same sums, and the factor on the other side.
    const { dGates, dBranch } = gatedBackward(read, own, dRead)
    expectClose(await bench.floats(buffers.branch), padRows(dBranch, d))
    expectClose((await bench.floats(buffers.dGates)).subarray(0, rows), dGates)
    await bench.expectUntouched(buffers.dGates, { from: 0, to: rows })
  })
})
