/** How a weight matrix lies in GPU memory: f32 words, or two 16-bit floats per u32 (low half first). */
export type WeightDtype = 'f32' | 'f16' | 'bf16'

/** WGSL element that holds four neighbouring weights of one row. */
export function weightVector(dtype: WeightDtype): string {
  return dtype === 'f32' ? 'vec4f' : 'vec2u'
}

/**
 * WGSL function `name(v) -> vec4f` that widens four stored weights to f32. The 16-bit forms need no optional feature:
 * `unpack2x16float` is core WGSL, and a bf16 is the upper half of an f32.
 */
export function widenWeights(dtype: WeightDtype, name = 'widen'): string {
  switch (dtype) {
    case 'f32':
      return `fn ${name}(v: vec4f) -> vec4f { return v; }`
    case 'f16':
      return `fn ${name}(v: vec2u) -> vec4f { return vec4f(unpack2x16float(v.x), unpack2x16float(v.y)); }`
    case 'bf16':
      return `fn ${name}(v: vec2u) -> vec4f {
  return vec4f(bitcast<f32>(v.x << 16u), bitcast<f32>(v.x & 0xffff0000u), bitcast<f32>(v.y << 16u), bitcast<f32>(v.y & 0xffff0000u));
}`
  }
}
