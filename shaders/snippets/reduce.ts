const NAMES = { sum: 'workgroupSum', max: 'workgroupMax' } as const

/**
 * WGSL `workgroupSum(lane, value)` and `workgroupMax(lane, value)`: the same total for every invocation, in a fixed
 * order. `size` is a power of two. Two levels of about √size terms with two barriers: a tree needs a barrier per level,
 * and barriers are what software devices pay for most, in compiling as in running.
 */
export function workgroupReduce(size: number, operations: readonly ('sum' | 'max')[]): string {
  // An invocation alone has the total.
  if (size === 1)
    return operations.map((name) => `fn ${NAMES[name]}(lane: u32, value: f32) -> f32 { return value; }`).join('\n')
  const groups = 2 ** Math.ceil(Math.log2(size) / 2)
  const body = (name: string, combine: (a: string, b: string) => string) => `fn ${name}(lane: u32, value: f32) -> f32 {
  scratch[lane] = value;
  workgroupBarrier();
  if (lane < ${groups}u) {
    var total = scratch[lane];
    for (var i = ${groups}u; i < ${size}u; i += ${groups}u) { total = ${combine('total', 'scratch[lane + i]')}; }
    groupTotals[lane] = total;
  }
  workgroupBarrier();
  var total = groupTotals[0];
  for (var i = 1u; i < ${groups}u; i++) { total = ${combine('total', 'groupTotals[i]')}; }
  return total;
}`
  return [
    `var<workgroup> scratch: array<f32, ${size}>;\nvar<workgroup> groupTotals: array<f32, ${groups}>;`,
    operations.includes('sum') ? body(NAMES.sum, (a, b) => `${a} + ${b}`) : '',
    operations.includes('max') ? body(NAMES.max, (a, b) => `max(${a}, ${b})`) : '',
  ].join('\n')
}

/** WGSL lines for `count` repetitions, where registers must be named one by one instead of indexed. */
export function unroll(count: number, line: (i: number) => string): string {
  return Array.from({ length: count }, (_, i) => line(i)).join('\n')
}
