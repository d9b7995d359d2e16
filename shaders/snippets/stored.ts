import { readWeights, type WeightDtype } from './weights.js'

/** The float forms; weights are read from them and may be kept in them. */
export type FloatWeightDtype = 'f32' | 'f16' | 'bf16'

/** Floats as they lie in files, or blocks in the form that kernels read (weights.ts), with vectors of four values in a row. */
export type StoredForm = FloatWeightDtype | { dtype: Exclude<WeightDtype, FloatWeightDtype>; k4: number }

export interface StoredOptions {
  from: StoredForm
  lora: boolean
}

const READ: Readonly<Record<FloatWeightDtype, string>> = {
  f32: 'bitcast<f32>(source[i])',
  f16: 'unpack2x16float(source[i / 2u])[i % 2u]',
  bf16: 'bitcast<f32>((source[i / 2u] >> (16u * (i % 2u))) << 16u)',
}

/**
 * WGSL function `stored(row, column) -> f32` over a piece of a matrix as it was stored (`source`, u32, rows of params.k values; of floats
 * without padding), with a LoRA update merged in f32, W + scale · B A (`loraA` [rank, k], `loraB` [rows, rank]). 0 beyond a
 * row's end. Needs k, rank and scale in `params`.
 */
export function readStored(o: StoredOptions): string {
  const update = `
  var delta = 0.0;
  for (var r = 0u; r < params.rank; r++) { delta = fma(loraB[row * params.rank + r], loraA[r * params.k + column], delta); }
  value += params.scale * delta;`
  const [reader, value] =
    typeof o.from === 'string'
      ? ['', READ[o.from]]
      : [readWeights(o.from.dtype, o.from.k4, 'source'), 'weight(weightStart(row), column / 4u)[column % 4u]']
  return `${reader}
fn stored(row: u32, column: u32) -> f32 {
  if (column >= params.k) { return 0.0; }
  let i = row * params.k + column;
  var value = ${value};${o.lora ? update : ''}
  return value;
}`
}
