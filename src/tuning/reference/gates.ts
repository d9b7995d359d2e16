/**
 * Straight-through Gumbel-softmax over a router's two logits (Jang et al. 2017; 0 = execute, 1 = skip): with noise n,
 * `soft = softmax((r + n) / tau)[0]`; forward the gate is 1 where `r0 + n0 >= r1 + n1`, else 0; backward it is `soft`.
 *
 * logits and noise [rows, 2] -> gates and soft [rows]
 */
export function sampleGates(logits: ArrayLike<number>, noise: ArrayLike<number>, tau: number) {
  const margins = Float64Array.from(
    { length: logits.length / 2 },
    (_, r) => logits[2 * r]! + noise[2 * r]! - logits[2 * r + 1]! - noise[2 * r + 1]!,
  )
  return { gates: margins.map((z) => (z >= 0 ? 1 : 0)), soft: margins.map((z) => 1 / (1 + Math.exp(-z / tau))) }
}

/**
 * Gradient of `soft` in the logits: `dLogits[0] = dGate soft (1 − soft) / tau = −dLogits[1]`.
 *
 * dGates and soft [rows] -> [rows, 2]
 */
export function sampleGatesBackward(dGates: ArrayLike<number>, soft: ArrayLike<number>, tau: number): Float64Array {
  return Float64Array.from({ length: 2 * soft.length }, (_, i) => {
    const r = i >> 1
    const s = soft[r]!
    return ((i % 2 === 0 ? 1 : -1) * dGates[r]! * s * (1 - s)) / tau
  })
}

/** `|target − rate|` times its coefficient, over gates whose mean is the rate; and the gradient in each of them. */
export function ratePenalty(gates: ArrayLike<number>, target: number, coefficient: number) {
  const rate = Array.from(gates).reduce((sum, g) => sum + g, 0) / gates.length
  return {
    rate,
    loss: coefficient * Math.abs(target - rate),
    dGate: (coefficient * Math.sign(rate - target)) / gates.length,
  }
}

/**
 * A gated sublayer, `y = x + gate · branch`: `dBranch = gate dy`, `dGate = dy · branch` (dx is dy).
 *
 * branch and dy [rows, d], gates [rows] -> dBranch [rows, d], dGates [rows]
 */
export function gatedBackward(branch: ArrayLike<number>, gates: ArrayLike<number>, dy: ArrayLike<number>) {
  const d = branch.length / gates.length
  const dGates = new Float64Array(gates.length)
  for (let i = 0; i < branch.length; i++) dGates[Math.floor(i / d)]! += dy[i]! * branch[i]!
  return { dBranch: Float64Array.from(dy, (value, i) => gates[Math.floor(i / d)]! * value), dGates }
}
