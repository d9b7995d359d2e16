/**
 * WGSL `inputVector(i)` over one row of the residual stream, scaled by RMSNorm (Zhang & Sennrich 2019):
 * x / sqrt(mean(x²) + eps) · g. The kernel calls `measure(lane)` once before the product. Needs `x: array<vec4f>`,
 * `vectors: array<vec4f>` with the norm's weights at `params.norm`, `workgroupSum`, `bound(n)`, and `rowStart()`, the row's index
 * in `x` in units of four values.
 */
export function normalisedInput(o: { d: number; d4: number; eps: number; workgroup: number }): string {
  return `
var<private> inverseRms: f32;
fn measure(lane: u32) {
  var squares = 0.0;
  for (var i = lane; i < bound(${o.d4}u); i += ${o.workgroup}u) {
    let v = x[rowStart() + i];
    squares += dot(v, v);
  }
  inverseRms = 1.0 / sqrt(workgroupSum(lane, squares) / ${o.d}.0 + ${eps(o.eps)});
}
fn inputVector(i: u32) -> vec4f { return x[rowStart() + i] * inverseRms * vectors[params.norm + i]; }
`
}

/** A float literal that WGSL accepts, for values such as 1e-5. */
export function eps(value: number): string {
  return `${value.toExponential()}f`
}
