import { wgsl } from 'wgsl-preprocessor/wgsl-preprocessor.js'
import { type MatvecForm, matvec, rowsPerGroup } from './snippets/matvec.js'
import { type Obey, obeyGuard } from './snippets/obey.js'
import { unroll } from './snippets/reduce.js'
import { silu } from './snippets/silu.js'
import type { WeightDtype } from './snippets/weights.js'

export interface GateUpDecodeOptions {
  d: number
  k4: number
  ff: number
  eps: number
  bias: boolean
  dtype: WeightDtype
  obey: Obey
  form: MatvecForm
}

/**
 * First half of the MLP for one token: a = silu(gate · u) · (up · u), u = RMSNorm(x) (SwiGLU, Shazeer 2020).
 *
 *   plan     u32, read
 *   x        f32 [d]       normalised already where the form says so
 *   weights  [2 ff, k4] of four: rows of gate, then of up
 *   vectors  f32, norm weights at params.norm, biases [2 ff] at params.bias (units of 4)
 *   a        f32 [ff], written
 *
 * Dispatch: (ceil(ff / rowsPerGroup), 1, 1) groups.
 */
export function gateUpDecodeShader(o: GateUpDecodeOptions): string {
  const slots = o.form.workgroup / o.form.lanes
  const rows = o.form.rowsPerSlot
  const bias = (row: string) => (o.bias ? ` + vectors[params.bias + (${row}) / 4u][(${row}) % 4u]` : '')
  const product = matvec({
    form: o.form,
    k4: o.k4,
    dtype: o.dtype,
    count: 2 * rows,
    row: (i) =>
      i < rows
        ? `min(row + ${i * slots}u, ${o.ff - 1}u)`
        : `${o.ff}u + min(row + ${(i - rows) * slots}u, ${o.ff - 1}u)`,
    input: { norm: { d: o.d, eps: o.eps } },
  })
  return wgsl`
${product.extensions}
struct Params { slot: u32, norm: u32, bias: u32 }
@group(0) @binding(0) var<storage, read> plan: array<u32>;
@group(0) @binding(1) var<storage, read> x: array<vec4f>;
${product.declarations}
@group(0) @binding(3) var<storage, read> vectors: array<vec4f>;
@group(0) @binding(4) var<storage, read_write> a: array<f32>;
@group(0) @binding(5) var<uniform> params: Params;
${silu}
fn rowStart() -> u32 { return 0u; }

@compute @workgroup_size(${o.form.workgroup})
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) lane: u32${product.parameters}) {
  if (plan[0] == 0u) { return; }
  ${obeyGuard(o.obey)}
  let slot = lane / ${o.form.lanes}u;
  let row = group.x * ${rowsPerGroup(o.form)}u + slot;
  ${product.body}
  if (${product.holds}) {
    ${unroll(
      rows,
      (i) => `{
      let n = row + ${i * slots}u;
      if (n < ${o.ff}u) {
        let gate = sum${i}${bias('n')};
        a[n] = silu(gate) * (sum${i + rows}${bias(`n + ${o.ff}u`)});
      }
    }`,
    )}
  }
}
`
}
