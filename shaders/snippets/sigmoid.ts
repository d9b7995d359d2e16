/** WGSL `sigmoid(v)`. Further below, exp leaves what a float holds, and the result is 0 to every digit anyway. */
export const sigmoid = 'fn sigmoid(v: f32) -> f32 { return 1.0 / (1.0 + exp(-max(v, -80.0))); }'
