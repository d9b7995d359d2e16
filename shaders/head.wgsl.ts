import { wgsl } from 'wgsl-preprocessor/wgsl-preprocessor.js'
import { type MatvecForm, matvecBody, matvecDeclarations, rowsPerGroup } from './snippets/matvec.js'
import { normalisedInput } from './snippets/norm.js'
import { unroll, workgroupReduce } from './snippets/reduce.js'
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
 *   x        f32 [capacity, d]
 *   weights  [vocab, k4] of four
 *   vectors  f32, final norm weights at params.norm (units of 4)
 *   logits   f32 [vocab], written
 *
 * Dispatch: groups split over x and y, one per rowsPerGroup rows of the vocabulary.
 */
export function headShader(o: HeadOptions): string {
  const slots = o.form.workgroup / o.form.lanes
  return wgsl`
struct Params { norm: u32, groupsX: u32 }
@group(0) @binding(0) var<storage, read> plan: array<u32>;
@group(0) @binding(1) var<storage, read> x: array<vec4f>;
${matvecDeclarations({ form: o.form, k4: o.k4, dtype: o.dtype, binding: 2 })}
@group(0) @binding(3) var<storage, read> vectors: array<vec4f>;
@group(0) @binding(4) var<storage, read_write> logits: array<f32>;
@group(0) @binding(5) var<uniform> params: Params;
${workgroupReduce(o.form.workgroup, ['sum'])}
fn rowStart() -> u32 { return (plan[0] - 1u) * ${o.k4}u; }
${normalisedInput({ d: o.d, d4: o.k4, eps: o.eps, workgroup: o.form.workgroup })}

@compute @workgroup_size(${o.form.workgroup})
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) lane: u32) {
  if (plan[0] == 0u) { return; }
  measure(lane);
  let slot = lane / ${o.form.lanes}u;
  let row = (group.y * params.groupsX + group.x) * ${rowsPerGroup(o.form)}u + slot;
  ${matvecBody({ form: o.form, k4: o.k4, count: o.form.rowsPerSlot, row: (i) => `min(row + ${i * slots}u, ${o.vocab - 1}u)` })}
  if (part == 0u) {
    ${unroll(o.form.rowsPerSlot, (i) => `if (row + ${i * slots}u < ${o.vocab}u) { logits[row + ${i * slots}u] = sum${i}; }`)}
  }
}
`
}
