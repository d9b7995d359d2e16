/**
 * WGSL `silu(x)`, x · sigmoid(x). The exponent is limited: exp overflows beyond 88, and an implementation may assume that no
 * infinity arises. At the limit the result is below 1e-33.
 */
export const silu = `
fn silu(x: f32) -> f32 { return x / (1.0 + exp(min(-x, 80.0))); }
`
