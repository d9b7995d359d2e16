/**
 * WGSL `pcgHash(seed, counter, index) -> u32`: three chained PCG output hashes (O'Neill 2014; Jarzynski & Olano 2020),
 * the counter-based generator of the sampler and of forced masks. `uniform24` takes the top 24 bits to [0, 1).
 */
export const pcgHash = `
fn pcg(v: u32) -> u32 {
  let state = v * 747796405u + 2891336453u;
  let word = ((state >> ((state >> 28u) + 4u)) ^ state) * 277803737u;
  return (word >> 22u) ^ word;
}
fn pcgHash(seed: u32, counter: u32, index: u32) -> u32 { return pcg(index + pcg(counter + pcg(seed))); }
fn uniform24(hash: u32) -> f32 { return f32(hash >> 8u) / 16777216.0; }
`

/** WGSL `gumbel(hash: u32) -> f32`: standard Gumbel noise, -ln(-ln(1 - v)) with v in (0, 1) from the top 23 bits of a hash. */
export const gumbel = `
fn gumbel(hash: u32) -> f32 {
  let v = (f32(hash >> 9u) + 0.5) / 8388608.0;
  // The exponential is taken from its series where 1 - v would round to 1.
  let exponential = select(-log(1.0 - v), v * (1.0 + v * (0.5 + v * (0.33333333 + 0.25 * v))), v < 0.03);
  return -log(exponential);
}
`
