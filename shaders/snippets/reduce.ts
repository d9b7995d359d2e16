/**
 * WGSL `workgroupSum(lane, value)` and, with `max`, `workgroupMax(lane, value)`: the same total for every invocation,
 * in a fixed order, through `scratch` in workgroup memory. `size` is a power of two. Starts and ends with barriers, so
 * calls can follow each other.
 */
export function workgroupReduce(size: number, operations: readonly ('sum' | 'max')[]): string {
  const body = (name: string, combine: string) => `fn ${name}(lane: u32, value: f32) -> f32 {
  workgroupBarrier();
  scratch[lane] = value;
  workgroupBarrier();
  for (var width = ${size / 2}u; width > 0u; width >>= 1u) {
    if (lane < width) { scratch[lane] = ${combine}; }
    workgroupBarrier();
  }
  return scratch[0];
}`
  return [
    `var<workgroup> scratch: array<f32, ${size}>;`,
    operations.includes('sum') ? body('workgroupSum', 'scratch[lane] + scratch[lane + width]') : '',
    operations.includes('max') ? body('workgroupMax', 'max(scratch[lane], scratch[lane + width])') : '',
  ].join('\n')
}

/** WGSL lines for `count` repetitions, where registers must be named one by one instead of indexed. */
export function unroll(count: number, line: (i: number) => string): string {
  return Array.from({ length: count }, (_, i) => line(i)).join('\n')
}
