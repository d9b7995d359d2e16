/**
 * The gated activation of a Llama MLP: `y = gate / (1 + exp(-gate)) * up`, element by element.
 *
 * gate and up of the same length -> that length
 */
export function swiglu(gate: ArrayLike<number>, up: ArrayLike<number>): Float64Array {
  const y = new Float64Array(gate.length)
  for (let i = 0; i < gate.length; i++) y[i] = (gate[i]! / (1 + Math.exp(-gate[i]!))) * up[i]!
  return y
}
