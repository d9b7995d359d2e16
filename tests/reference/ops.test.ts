import { describe, expect, it } from 'vitest'
import { argmax } from '../../src/kernels/reference/argmax.js'
import { attention } from '../../src/kernels/reference/attention.js'
import { compact } from '../../src/kernels/reference/compact.js'
import { addGated, gateScores } from '../../src/kernels/reference/gates.js'
import { linear } from '../../src/kernels/reference/linear.js'
import { mergeLora } from '../../src/kernels/reference/lora.js'
import { nll } from '../../src/kernels/reference/nll.js'
import { rmsNorm } from '../../src/kernels/reference/rms-norm.js'
import { rope } from '../../src/kernels/reference/rope.js'
import { routerScores } from '../../src/kernels/reference/router.js'
import { swiglu } from '../../src/kernels/reference/swiglu.js'
import { loadOps, type OpCase, sharedPresent } from '../fixtures/golden.js'
import { plainFrequencies, ropeRow } from './rope-rows.js'
import { foldRouter } from './routers.js'

/** Both sides compute in f64; the golden values are stored as f32, which moves them by at most 6e-8 of their size. */
const STORED_AS_F32 = 1e-7

/** How each operation is run on the inputs of a golden case. Cases of other operations have no reference yet. */
const RUN: Record<string, (c: OpCase) => void> = {
  rms_norm(c) {
    const [rows, d] = c.shape('x') as [number, number]
    expectClose(c, 'y', rmsNorm(c.floats('x'), c.floats('weight'), c.params.eps as number, rows, d))
  },

  rope(c) {
    const [rows, heads, headDim] = c.shape('x') as [number, number, number]
    const row = ropeRow(plainFrequencies(c.params.theta as number, headDim))
    const table = Array.from(c.ints('positions'), (position) => [...row(position)])
    expectClose(
      c,
      'cos',
      table.flatMap((angles) => angles.slice(0, headDim / 2)),
    )
    expectClose(
      c,
      'sin',
      table.flatMap((angles) => angles.slice(headDim / 2)),
    )
    expectClose(c, 'y', rope(c.floats('x'), table.flat(), rows, heads, headDim))
  },

  attention_prefill: runAttention,
  attention_decode: runAttention,

  linear(c) {
    const [n, k] = c.shape('weight') as [number, number]
    const x = takeRows(c.floats('x'), c.ints('indices'), k)
    expectClose(c, 'y', linear(x, c.floats('weight'), x.length / k, k, n))
  },

  lora_linear(c) {
    const [n, k] = c.shape('weight') as [number, number]
    const { alpha, r } = c.params as { alpha: number; r: number }
    const merged = mergeLora(c.floats('weight'), c.floats('a'), c.floats('b'), alpha / r, n, k, r)
    expectClose(c, 'y', linear(c.floats('x'), merged, c.shape('x')[0]!, k, n))
  },

  swiglu(c) {
    expectClose(c, 'y', swiglu(c.floats('gate'), c.floats('up')))
  },

  mlp_sublayer(c) {
    const [width, d] = c.shape('gate') as [number, number]
    const { active, count } = compact(c.ints('execute'))
    expect([...active]).toEqual([...c.ints('indices')])

    const h = c.floats('h')
    const u = rmsNorm(takeRows(h, active, d), c.floats('norm'), c.params.eps as number, count, d)
    const gate = linear(u, c.floats('gate'), count, d, width)
    const up = linear(u, c.floats('up'), count, d, width)
    const down = linear(swiglu(gate, up), c.floats('down'), count, width, d)
    const y = Float64Array.from(h)
    active.forEach((row, i) => {
      for (let j = 0; j < d; j++) y[row * d + j]! += down[i * d + j]!
    })
    expectClose(c, 'y', y)
  },

  router(c) {
    const [rows, d] = c.shape('x') as [number, number]
    const prefix = 'model.layers.0.router_attention'
    const tensors = new Map([
      [`${prefix}.weight_predictor.weight`, { shape: c.shape('weight'), data: c.floats('weight') }],
      [`${prefix}.weight_predictor.bias`, { shape: [2], data: c.floats('bias') }],
    ])
    if (c.has('hidden_weight')) {
      tensors.set(`${prefix}.hidden_layer.weight`, { shape: c.shape('hidden_weight'), data: c.floats('hidden_weight') })
      tensors.set(`${prefix}.hidden_layer.bias`, { shape: c.shape('hidden_bias'), data: c.floats('hidden_bias') })
    }
    const z = routerScores(c.floats('x'), foldRouter(tensors, prefix), rows, d)
    expectClose(c, 'z', z)
    expect(Array.from(z, (value) => (value >= (c.params.delta as number) ? 1 : 0))).toEqual([...c.ints('execute')])
  },

  compact(c) {
    const { count, active, slot } = compact(c.ints('execute'))
    expect(count).toBe(c.ints('count')[0])
    expect([...active]).toEqual([...c.ints('indices')])
    expect([...slot]).toEqual([...c.ints('slot')])
  },

  gate(c) {
    const [rows, d] = c.shape('u') as [number, number]
    const threshold = c.floats('threshold')[0]!
    const gate = { weight: c.floats('weight'), bias: c.floats('bias') }
    const { gates, means } = gateScores(c.floats('u'), gate, rows, d)
    expectClose(c, 'mean_gate', means)
    const execute = Array.from(means, (mean) => (mean > threshold ? 1 : 0))
    expect(execute).toEqual([...c.ints('execute')])
    const { active } = compact(execute)
    const branch = takeRows(c.floats('branch'), Int32Array.from(active), d)
    expectClose(c, 'y', addGated(c.floats('h'), branch, gates, active, d, { offset: 0, gain: 1 }))
  },

  argmax(c) {
    expect(argmax(c.floats('x'))).toBe(c.ints('index')[0])
  },

  nll(c) {
    const [rows, vocab] = c.shape('logits') as [number, number]
    const values = nll(c.floats('logits'), c.ints('targets'), rows, vocab)
    expectClose(c, 'nll', values)
    expectClose(c, 'mean', [values.reduce((sum, value) => sum + value, 0) / rows])
  },
}

describe.skipIf(!sharedPresent)('reference operations against the golden operations', () => {
  for (const [op, run] of Object.entries(RUN)) {
    it(op, () => {
      const cases = loadOps().filter((c) => c.op === op)
      expect(cases.length).toBeGreaterThan(0)
      for (const c of cases) run(c)
    })
  }
})

function runAttention(c: OpCase): void {
  const [, heads, headDim] = c.shape('q') as [number, number, number]
  const kvHeads = c.shape('k')[1]!
  expectClose(c, 'y', attention(c.floats('q'), c.floats('k'), c.floats('v'), c.ints('q_pos'), heads, kvHeads, headDim))
}

function takeRows(x: Float32Array, rows: Int32Array, d: number): number[] {
  return Array.from(rows, (row) => [...x.subarray(row * d, (row + 1) * d)]).flat()
}

function expectClose(c: OpCase, output: string, actual: ArrayLike<number>): void {
  const expected = c.floats(output)
  expect(actual.length, `length of ${c.name}.${output}`).toBe(expected.length)
  const worst = Math.max(0, ...Array.from(expected, (value, i) => Math.abs(value - actual[i]!)))
  expect(worst, `${c.name}.${output}`).toBeLessThanOrEqual(STORED_AS_F32 * Math.max(1, c.maxAbs[output]!))
}
