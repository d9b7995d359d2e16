import { wgsl } from 'wgsl-preprocessor/wgsl-preprocessor.js'

/**
 * Sums a buffer: what a device can read at most, which benchmarks hold other kernels against.
 *
 *   source  f32 [4 · groups · 256 · perInvocation]
 *   sums    f32 [groups · 256], written: invocation i sums vectors i, i + groups · 256, ..
 *
 * Dispatch: (groups, 1, 1) groups of 256.
 */
export function readSumShader(o: { groups: number; perInvocation: number }): string {
  return wgsl`
@group(0) @binding(0) var<storage, read> source: array<vec4f>;
@group(0) @binding(1) var<storage, read_write> sums: array<f32>;

@compute @workgroup_size(256)
fn main(@builtin(global_invocation_id) id: vec3u) {
  var sum = vec4f();
  for (var i = 0u; i < ${o.perInvocation}u; i++) { sum += source[i * ${o.groups * 256}u + id.x]; }
  sums[id.x] = sum.x + sum.y + sum.z + sum.w;
}
`
}
