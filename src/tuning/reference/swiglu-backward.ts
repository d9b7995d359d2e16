/**
 * Gradients of `y = silu(gate) · up`. With `σ = 1 / (1 + exp(−gate))`: `dUp = dy gate σ`, `dGate = dy up σ (1 + gate (1 − σ))`.
 *
 * gate, up, dy of one length -> dGate, dUp of that length
 */
export function swigluBackward(gate: ArrayLike<number>, up: ArrayLike<number>, dy: ArrayLike<number>) {
  const sigma = Float64Array.from(gate, (g) => 1 / (1 + Math.exp(-g)))
  return {
    dGate: sigma.map((s, i) => dy[i]! * up[i]! * s * (1 + gate[i]! * (1 - s))),
    dUp: sigma.map((s, i) => dy[i]! * gate[i]! * s),
  }
}
