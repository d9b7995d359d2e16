/** One PCG output hash (RXS-M-XS) of a u32. All arithmetic wraps to 32 bits, as it does on the GPU. */
function pcg(v: number): number {
  const state = (Math.imul(v, 747796405) + 2891336453) >>> 0
  const word = Math.imul((state >>> ((state >>> 28) + 4)) ^ state, 277803737) >>> 0
  return ((word >>> 22) ^ word) >>> 0
}

/**
 * The sampler's counter-based random number: a u32 that depends on nothing but the seed, the step and the token, so a GPU
 * invocation can make its own without any state. `pcg(index + pcg(counter + pcg(seed)))`, additions wrapping.
 */
export function pcgHash(seed: number, counter: number, index: number): number {
  return pcg((index + pcg((counter + pcg(seed)) >>> 0)) >>> 0)
}
