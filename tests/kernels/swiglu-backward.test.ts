import { it } from 'vitest'
import { swiglu } from '../../src/kernels/reference/swiglu.js'
import { swigluKernel } from '../../src/tuning/kernels/swiglu.js'
import { swigluBackwardKernel } from '../../src/tuning/kernels/swiglu-backward.js'
import { swigluBackward } from '../../src/tuning/reference/swiglu-backward.js'
import { Prng } from '../fixtures/prng.js'
import { expectClose, gpuSuite, noise, planOf } from '../gpu/testing.js'

const CAPACITY = 3

gpuSuite('swiglu and its gradients', (bench) => {
  it.each([
    { rows: 3, width4: 65 },
    { rows: 2, width4: 7 },
    { rows: 0, width4: 1 },
  ])('$rows rows of 4 × $width4', async ({ rows, width4 }) => {
    const prng = new Prng(width4)
    const size = CAPACITY * width4 * 4
    const live = rows * width4 * 4
    const [gate, up, dy] = [noise(prng, size, 3), noise(prng, size), noise(prng, size)]
    gate.set([-100, 100, -1000, 0])
    const [forward, backward] = await Promise.all([
      swigluKernel(bench.gpu, { width4 }),
      swigluBackwardKernel(bench.gpu, { width4 }),
    ])
    const plan = bench.upload(planOf({ rows, capacity: CAPACITY }))
    const buffers = { gate: bench.inout(gate), up: bench.inout(up) }
    const y = bench.poisoned(size)
    await bench.run(
      [
        forward(bench.arena, { plan, ...buffers, y }),
        backward(bench.arena, { plan, dy: bench.upload(dy), ...buffers }),
      ],
      { rows: CAPACITY },
    )
    expectClose((await bench.floats(y)).subarray(0, live), swiglu(gate.subarray(0, live), up.subarray(0, live)))
    await bench.expectUntouched(y, { from: 0, to: live })
    const { dGate, dUp } = swigluBackward(gate, up, dy)
    expectClose(
      await bench.floats(buffers.gate),
      gate.map((value, i) => (i < live ? dGate[i]! : value)),
    )
    expectClose(
      await bench.floats(buffers.up),
      up.map((value, i) => (i < live ? dUp[i]! : value)),
    )
  })
})
