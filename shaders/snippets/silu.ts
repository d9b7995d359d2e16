/**
 * WGSL `silu(x)`, x · sigmoid(x), of a float or a vector of them. The exponent is limited: exp overflows beyond 88, and an implementation may assume that no
 * infinity arises. At the limit the result is below 1e-33.
 */
export const siluOf = (type: 'f32' | 'vec2f' | 'vec4f') => `
fn silu(x: ${type}) -> ${type} { return x / (1.0 + exp(min(-x, ${type}(80.0)))); }
`
export const silu = siluOf('f32')
