import { wgsl } from 'wgsl-preprocessor/wgsl-preprocessor.js'
import { type MatvecForm, rowsPerGroup, rowsProduct } from './snippets/matvec.js'
import { type Obey, obeyGuard } from './snippets/obey.js'
import { unroll } from './snippets/reduce.js'
import { type Splits, splitLength } from './snippets/splits.js'
import type { WeightDtype } from './snippets/weights.js'

export interface AttentionOutputOptions {
  d: number
  heads: number
  headDim: number
  splits: Splits
  bias: boolean
  dtype: WeightDtype
  obey: Obey
  form: MatvecForm
}

/**
 * Combines the parts of the decode attention, applies the output projection and adds it to the residual stream:
 * x += O · attention (+ bias).
 *
 *   plan     u32, read
 *   splitSums  f32, as attention-decode leaves it
 *   weights  [d, heads headDim / 4] of four
 *   vectors  f32, bias at params.bias (units of 4)
 *   x        f32 [d], read and written
 *
 * Dispatch: (ceil(d / rowsPerGroup), 1, 1) groups.
 */
export function attentionOutputShader(o: AttentionOutputOptions): string {
  const k4 = (o.heads * o.headDim) / 4
  const slots = o.form.workgroup / o.form.lanes
  const head4 = o.headDim / 4
  const product = rowsProduct({
    form: o.form,
    k4,
    dtype: o.dtype,
    rows: o.d,
    input: {
      tile: true,
      code: `
fn inputVector(i: u32) -> vec4f {
  let head = i / ${head4}u;
  var sum = vec4f();
  for (var s = 0u; s < used; s++) {
    sum += factors[head * ${o.splits.most}u + s] * splitSums[(head * ${o.splits.most}u + s) * ${head4}u + i % ${head4}u];
  }
  return sum;
}`,
    },
  })
  return wgsl`
${product.extensions}
struct Params { slot: u32, bias: u32 }
@group(0) @binding(0) var<storage, read> plan: array<u32>;
@group(0) @binding(1) var<storage, read> splitSums: array<vec4f>;
${product.declarations}
@group(0) @binding(3) var<storage, read> vectors: array<vec4f>;
@group(0) @binding(4) var<storage, read_write> x: array<f32>;
@group(0) @binding(5) var<uniform> params: Params;
${splitLength(o.splits)}
var<workgroup> factors: array<f32, ${o.heads * o.splits.most}>;
var<private> used: u32;
fn statistics(index: u32) -> f32 {
  let at = ${o.heads * o.splits.most * o.headDim}u + index;
  return splitSums[at / 4u][at % 4u];
}

@compute @workgroup_size(${o.form.workgroup})
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) lane: u32${product.parameters}) {
  if (plan[0] == 0u) { return; }
  ${obeyGuard(o.obey)}
  let length = plan[1] + 1u;
  used = (length + splitLength(length) - 1u) / splitLength(length);
  for (var head = lane; head < bound(${o.heads}u); head += ${o.form.workgroup}u) {
    let first = head * ${o.splits.most}u;
    var maximum = statistics(2u * first);
    for (var s = 1u; s < used; s++) { maximum = max(maximum, statistics(2u * (first + s))); }
    var weight = 0.0;
    for (var s = 0u; s < used; s++) {
      weight += statistics(2u * (first + s) + 1u) * exp(statistics(2u * (first + s)) - maximum);
    }
    for (var s = 0u; s < used; s++) { factors[first + s] = exp(statistics(2u * (first + s)) - maximum) / weight; }
  }
  // The vectors of the product need all of them.
  workgroupBarrier();
  let slot = lane / ${o.form.lanes}u;
  let row = group.x * ${rowsPerGroup(o.form)}u + slot;
  ${product.body}
  if (${product.holds}) {
    ${unroll(
      o.form.rowsPerSlot,
      (i) => `{
      let n = row + ${i * slots}u;
      if (n < ${o.d}u) { x[n] += ${o.obey === 'masked' ? 'f32(plan[params.slot] != 0u) * ' : ''}(sum${i}${o.bias ? ' + vectors[params.bias + n / 4u][n % 4u]' : ''}); }
    }`,
    )}
  }
}
`
}
