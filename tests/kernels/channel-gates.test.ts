import { expect, it } from 'vitest'
import { channelGatesKernel } from '../../src/tuning/kernels/channel-gates.js'
import { channelGatesApplyKernel } from '../../src/tuning/kernels/channel-gates-apply.js'
import { channelGatesBackwardKernel } from '../../src/tuning/kernels/channel-gates-backward.js'
import { keepRankedKernel } from '../../src/tuning/kernels/keep-ranked.js'
import {
  channelGates,
  channelGatesApply,
  channelGatesBackward,
  keepRanked,
} from '../../src/tuning/reference/channel-gates.js'
import { Prng } from '../fixtures/prng.js'
import { expectClose, gpuSuite, noise, padRows, planOf, range } from '../gpu/testing.js'

const CAPACITY = 135
const SUBLAYERS = 3
const sublayer = 1
const SHARE = 0.5
const COEFFICIENT = 700

const settings = (executeRate: number) => Float32Array.of(1, 1, executeRate, COEFFICIENT, SHARE)

gpuSuite('gates of channels', (bench) => {
  it.each([
    { d: 70, rows: 9 },
    { d: 300, rows: 1 },
    { d: 8, rows: 0 },
  ])('are made, multiply, and have their gradients, $rows rows of $d', async ({ d, rows }) => {
    const prng = new Prng(d)
    const width = 4 * Math.ceil(d / 4)
    const [v, x, branch, dy] = range(4).map(() => noise(prng, rows * d, 2)) as Float32Array[]
    // Far away, gates are flat.
    if (rows > 0) v!.set([3000, -3000])
    const bias = noise(prng, d)
    const kept = Float32Array.from({ length: SUBLAYERS * CAPACITY }, () => prng.below(2))
    if (rows > 1) kept.set([1, 0], CAPACITY * sublayer)
    const own = kept.subarray(CAPACITY * sublayer, CAPACITY * sublayer + rows)
    const sizes = { d, d4: width / 4, sublayers: SUBLAYERS, capacity: CAPACITY }
    const [make, apply, backward] = await Promise.all([
      channelGatesKernel(bench.gpu, sizes),
      channelGatesApplyKernel(bench.gpu, sizes),
      channelGatesBackwardKernel(bench.gpu, sizes),
    ])
    // What fills rows up was left by whoever used the buffer before.
    const padded = padRows(v!, d).map((value, i) => (i % width < d ? value : 7))
    const buffers = {
      plan: bench.upload(planOf({ rows, capacity: CAPACITY })),
      settings: bench.upload(settings(0.75)),
      parameters: bench.upload(Float32Array.of(9, ...bias)),
      gates: bench.inout(padded),
      scores: bench.poisoned(CAPACITY),
      squares: bench.poisoned(SUBLAYERS * CAPACITY),
      kept: bench.upload(kept),
      x: bench.upload(padRows(x!, d)),
      branch: bench.inout(padRows(branch!, d)),
      y: bench.poisoned(rows * width),
      dy: bench.upload(padRows(dy!, d)),
    }
    const extent = { rows: Math.max(1, rows) }
    await bench.run(
      [make(bench.arena, buffers, { sublayer, bias: 1 }), apply(bench.arena, buffers, { sublayer })],
      extent,
    )
    const expected = channelGates(v!, bias)
    expectClose(await bench.floats(buffers.gates), padRows(expected.gates, d), undefined, 'gates')
    expectClose((await bench.floats(buffers.scores)).subarray(0, rows), expected.scores, undefined, 'scores')
    await bench.expectUntouched(buffers.scores, { from: 0, to: rows })
    const written = { from: CAPACITY * sublayer, to: CAPACITY * sublayer + rows }
    const squares = (await bench.floats(buffers.squares)).subarray(written.from, written.to)
    expectClose(squares, expected.squares, undefined, 'squares')
    await bench.expectUntouched(buffers.squares, written)
    const y = channelGatesApply(x!, own, expected.gates, branch!)
    expectClose(await bench.floats(buffers.y), padRows(y, d), undefined, 'y')

    await bench.run([backward(bench.arena, buffers, { sublayer })], extent)
    const { dBranch, dv } = channelGatesBackward(dy!, own, expected.gates, branch!, {
      coefficient: SHARE * COEFFICIENT,
      count: SUBLAYERS * rows * d,
    })
    expectClose(await bench.floats(buffers.branch), padRows(dBranch, d), undefined, 'dBranch')
    expectClose(await bench.floats(buffers.gates), padRows(dv, d), undefined, 'dv')
  })

  it.each([
    { rows: 130, rate: 0.7 },
    { rows: 130, rate: 1 },
    { rows: 64, rate: 0.1 },
    { rows: 10, rate: 0.8 },
    { rows: 1, rate: 0.75 },
    { rows: 1, rate: 0.25 },
    { rows: 0, rate: 0.5 },
  ])('keep the highest scores, $rate of $rows', async ({ rows, rate }) => {
    const prng = new Prng(rows)
    // Many are equal.
    const scores = Float32Array.from({ length: CAPACITY }, () => prng.below(20) / 20)
    const keep = await keepRankedKernel(bench.gpu, { capacity: CAPACITY })
    const buffers = {
      plan: bench.upload(planOf({ rows, capacity: CAPACITY })),
      settings: bench.upload(settings(rate)),
      scores: bench.upload(scores),
      kept: bench.poisoned(SUBLAYERS * CAPACITY),
    }
    await bench.run([keep(bench.arena, buffers, { sublayer })], { rows: CAPACITY })
    const written = { from: CAPACITY * sublayer, to: CAPACITY * sublayer + rows }
    const kept = (await bench.floats(buffers.kept)).subarray(written.from, written.to)
    expect([...kept]).toEqual([...keepRanked(scores.subarray(0, rows), rate)])
    await bench.expectUntouched(buffers.kept, written)
  })
})
