/** A float literal that WGSL accepts, for values such as 1e-5. */
export function eps(value: number): string {
  return `${value.toExponential()}f`
}

/** RMSNorm (Zhang & Sennrich 2019) of rows of `d` values. */
export interface RowNorm {
  d: number
  eps: number
}

/**
 * WGSL `normaliseRow(lane, source, row)`: row `row` of `u` becomes row `source` of `x`, normalised with the weights at params.norm of `vectors`, by `lanes` invocations
 * (row-lanes.ts); and `scaleRow(lane, source, row, squares)` for those that have squared their part of it already. Needs `workgroupSum` and `bound`.
 */
export function normaliseRow({ d, d4, eps: e, lanes }: RowNorm & { d4: number; lanes: number }): string {
  return `fn scaleRow(lane: u32, source: u32, row: u32, squares: f32) {
  let scale = 1.0 / sqrt(workgroupSum(lane, squares) / ${d}.0 + ${eps(e)});
  for (var i = lane; i < bound(${d4}u); i += ${lanes}u) {
    u[row * ${d4}u + i] = x[source * ${d4}u + i] * scale * vectors[params.norm + i];
  }
}
fn normaliseRow(lane: u32, source: u32, row: u32) {
  var squares = 0.0;
  for (var i = lane; i < bound(${d4}u); i += ${lanes}u) { let v = x[source * ${d4}u + i]; squares += dot(v, v); }
  scaleRow(lane, source, row, squares);
}`
}
