import { wgsl } from 'wgsl-preprocessor/wgsl-preprocessor.js'
import { type MatvecForm, rowsPerGroup, rowsProduct } from './snippets/matvec.js'
import { type Obey, obeyGuard } from './snippets/obey.js'
import { unroll } from './snippets/reduce.js'
import type { WeightDtype } from './snippets/weights.js'

export interface DownDecodeOptions {
  d: number
  k4: number
  bias: boolean
  dtype: WeightDtype
  obey: Obey
  form: MatvecForm
}

/**
 * Second half of the MLP for one token, added to the residual stream: x += down · a (+ bias).
 *
 *   plan     u32, read
 *   a        f32 [ff]
 *   weights  [d, k4] of four
 *   vectors  f32, bias at params.bias (units of 4)
 *   x        f32 [d], read and written
 *
 * Dispatch: (ceil(d / rowsPerGroup), 1, 1) groups.
 */
export function downDecodeShader(o: DownDecodeOptions): string {
  const slots = o.form.workgroup / o.form.lanes
  const product = rowsProduct({
    form: o.form,
    k4: o.k4,
    dtype: o.dtype,
    rows: o.d,
    input: { code: 'fn inputVector(i: u32) -> vec4f { return a[i]; }', tile: false },
  })
  return wgsl`
${product.extensions}
struct Params { slot: u32, bias: u32 }
@group(0) @binding(0) var<storage, read> plan: array<u32>;
@group(0) @binding(1) var<storage, read> a: array<vec4f>;
${product.declarations}
@group(0) @binding(3) var<storage, read> vectors: array<vec4f>;
@group(0) @binding(4) var<storage, read_write> x: array<f32>;
@group(0) @binding(5) var<uniform> params: Params;

@compute @workgroup_size(${o.form.workgroup})
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) lane: u32${product.parameters}) {
  if (plan[0] == 0u) { return; }
  ${obeyGuard(o.obey)}
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
