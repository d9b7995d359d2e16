import { wgsl } from 'wgsl-preprocessor/wgsl-preprocessor.js'
import { type MatvecForm, rowsPerGroup, rowsProduct } from './snippets/matvec.js'
import { unroll } from './snippets/reduce.js'
import type { WeightDtype } from './snippets/weights.js'

export interface HeadOptions {
  d: number
  k4: number
  vocab: number
  eps: number
  dtype: WeightDtype
  form: MatvecForm
}

/**
 * Final RMSNorm and language-model head for the last row of the chunk: logits = W · RMSNorm(x[rows - 1]).
 *
 *   plan     u32, read
 *   x        f32 [capacity, d]   normalised already where the form says so
 *   weights  [vocab, k4] of four
 *   vectors  f32, final norm weights at params.norm (units of 4)
 *   logits   f32 [vocab], written
 *
 * Dispatch: groups split over x and y, one per rowsPerGroup rows of the vocabulary.
 */
export function headShader(o: HeadOptions): string {
  const slots = o.form.workgroup / o.form.lanes
  const product = rowsProduct({
    form: o.form,
    k4: o.k4,
    dtype: o.dtype,
    rows: o.vocab,
    input: { norm: { d: o.d, eps: o.eps } },
  })
  return wgsl`
${product.extensions}
struct Params { norm: u32, groupsX: u32 }
@group(0) @binding(0) var<storage, read> plan: array<u32>;
@group(0) @binding(1) var<storage, read> x: array<vec4f>;
${product.declarations}
@group(0) @binding(3) var<storage, read> vectors: array<vec4f>;
@group(0) @binding(4) var<storage, read_write> logits: array<f32>;
@group(0) @binding(5) var<uniform> params: Params;
fn rowStart() -> u32 { return (plan[0] - 1u) * ${o.k4}u; }

@compute @workgroup_size(${o.form.workgroup})
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) lane: u32${product.parameters}) {
  if (plan[0] == 0u) { return; }
  let slot = lane / ${o.form.lanes}u;
  let row = (group.y * params.groupsX + group.x) * ${rowsPerGroup(o.form)}u + slot;
  ${product.body}
  if (${product.holds}) {
    ${unroll(o.form.rowsPerSlot, (i) => `if (row + ${i * slots}u < ${o.vocab}u) { logits[row + ${i * slots}u] = sum${i}; }`)}
  }
}
`
}
