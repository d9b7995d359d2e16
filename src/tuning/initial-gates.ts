import { pcgHash } from '../kernels/reference/random.js'
import type { RuntimeShape } from '../runtime/shape.js'
import type { ParameterTensor } from './parameters.js'

/**
 * Gates with a value for every channel that are nearly open, as GateSkip begins: b = 5, for a gate of 0.993, and W normal with a standard deviation of
 * 0.01.
 */
export function initialGates({ config }: RuntimeShape, seed: number): ParameterTensor[] {
  const { layers, hiddenSize: d } = config
  return Array.from({ length: 2 * layers }).flatMap((_, sublayer) => {
    const name = `model.layers.${sublayer >> 1}.gate_${sublayer % 2 === 0 ? 'attention' : 'mlp'}`
    return [
      { name: `${name}.weight`, shape: [d, d], data: normal(seed, sublayer, d * d, 0.01) },
      { name: `${name}.bias`, shape: [d], data: new Float32Array(d).fill(5) },
    ]
  })
}

/** By Box and Muller. */
function normal(seed: number, tensor: number, count: number, deviation: number): Float32Array {
  const unit = (index: number) => (pcgHash(seed, tensor, index) + 0.5) / 2 ** 32
  return Float32Array.from({ length: count }, (_, i) => {
    return deviation * Math.sqrt(-2 * Math.log(unit(2 * i))) * Math.cos(2 * Math.PI * unit(2 * i + 1))
  })
}
