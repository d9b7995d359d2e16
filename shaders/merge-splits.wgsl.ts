import { wgsl } from 'wgsl-preprocessor/wgsl-preprocessor.js'
import { type Positions, positionOf } from './snippets/plan.js'
import { type Splits, splitLength } from './snippets/splits.js'

export interface MergeSplitsOptions {
  heads: number
  headDim: number
  splits: Splits
  positions: Positions
  /** Values from one row's parts to the next one's, a multiple of four. */
  stride: number
}

/**
 * Combines the parts of the decode attention of several rows (the end of Flash-Decoding): what `attention-output` does on its way to a
 * product with one row, for a product with many.
 *
 *   plan       u32, read      rows; how many parts a row has follows from its position
 *   splitSums  f32 [rows, stride], each as attention-decode leaves it
 *   out        f32 [rows, heads headDim], written
 *
 * Dispatch: (ceil(heads headDim / 4 / 64), rows, 1) groups of 64: an invocation makes four values. What a row that skips gets is not read.
 */
export function mergeSplitsShader(o: MergeSplitsOptions): string {
  const width4 = (o.heads * o.headDim) / 4
  const head4 = o.headDim / 4
  const { most } = o.splits
  return wgsl`
@group(0) @binding(0) var<storage, read> plan: array<u32>;
@group(0) @binding(1) var<storage, read> splitSums: array<vec4f>;
@group(0) @binding(2) var<storage, read_write> out: array<vec4f>;
${splitLength(o.splits)}
${positionOf(o.positions)}
fn statistics(row: u32, index: u32) -> f32 {
  let at = ${o.heads * most * o.headDim}u + index;
  return splitSums[row * ${o.stride / 4}u + at / 4u][at % 4u];
}

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u) {
  let row = id.y;
  if (row >= plan[0] || id.x >= ${width4}u) { return; }
  let length = positionOf(row) + 1u;
  let used = (length + splitLength(length) - 1u) / splitLength(length);
  let first = id.x / ${head4}u * ${most}u;
  var maximum = statistics(row, 2u * first);
  for (var s = 1u; s < used; s++) { maximum = max(maximum, statistics(row, 2u * (first + s))); }
  var weight = 0.0;
  var sum = vec4f();
  for (var s = 0u; s < used; s++) {
    let factor = exp(statistics(row, 2u * (first + s)) - maximum);
    weight += factor * statistics(row, 2u * (first + s) + 1u);
    sum += factor * splitSums[row * ${o.stride / 4}u + (first + s) * ${head4}u + id.x % ${head4}u];
  }
  out[row * ${width4}u + id.x] = sum / weight;
}
`
}
