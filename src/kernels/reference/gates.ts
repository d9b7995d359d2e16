import { linear } from './linear.js'
import { rmsNorm } from './rms-norm.js'

/**
 * Gates of every row, and their means.
 *
 * t [rows, d], weight [n, d], bias [n] -> gates [rows, n], means [rows]
 */
export function gateScores(
  t: ArrayLike<number>,
  { weight, bias }: { weight: ArrayLike<number>; bias: ArrayLike<number> },
  rows: number,
  d: number,
): { gates: Float64Array; means: Float64Array } {
  const n = bias.length
  const gates = linear(t, weight, rows, d, n, bias).map((v) => 1 / (1 + Math.exp(-v)))
  const means = Float64Array.from({ length: rows }, (_, row) => {
    return gates.subarray(row * n, (row + 1) * n).reduce((sum, g) => sum + g, 0) / n
  })
  return { gates, means }
}

/**
 * `x[r] + (offset + gain · g[r]) ⊙ branch[i]` for r = active[i]; other rows are copied.
 *
 * x [rows, d], branch [active.length, d], gates [rows, n] with n = d or 1 -> [rows, d]
 */
export function addGated(
  x: ArrayLike<number>,
  branch: ArrayLike<number>,
  gates: ArrayLike<number>,
  active: ArrayLike<number>,
  d: number,
  { offset, gain }: { offset: number; gain: number },
): Float64Array {
  const sum = Float64Array.from(x)
  const n = (gates.length * d) / x.length
  for (let i = 0; i < active.length; i++) {
    const row = active[i] as number
    for (let j = 0; j < d; j++) {
      const g = gates[row * n + (j % n)] as number
      sum[row * d + j] = (sum[row * d + j] as number) + (offset + gain * g) * (branch[i * d + j] as number)
    }
  }
  return sum
}

/** sigmoid of the mean of some rows' values. */
export function pooledGate(values: ArrayLike<number>): number {
  const sum = Array.from(values).reduce((total, value) => total + value, 0)
  return 1 / (1 + Math.exp(-sum / values.length))
}

/**
 * Gates of a hidden layer: `sigmoid(weight · activation(norm ⊙ v / rms(v)) + bias)` for every row.
 *
 * v [rows, units], norm [units], weight [units] -> [rows]
 */
export function bottleneckGates(
  v: ArrayLike<number>,
  { norm, weight, bias }: { norm: ArrayLike<number>; weight: ArrayLike<number>; bias: number },
  eps: number,
  rows: number,
  activation: 'tanh' | 'silu' = 'tanh',
): Float64Array {
  const units = norm.length
  const activate = activation === 'tanh' ? Math.tanh : (value: number) => value / (1 + Math.exp(-value))
  const inner = rmsNorm(v, norm, eps, rows, units).map(activate)
  return linear(inner, weight, rows, units, 1, [bias]).map((logit) => 1 / (1 + Math.exp(-logit)))
}
