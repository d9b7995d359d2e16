/**
 * A position that a token has left empty in the cache of a layer: the first value of each of its keys is `HOLE`, which no key reaches, and everything
 * else is 0. So holes are copied, overwritten and forgotten as keys are.
 */
export const HOLE = -(2 ** 100)

/** WGSL: whether the key whose first values are `k` is a hole. */
export function isHole(k: string): string {
  return `${k}.x < ${HOLE / 2}`
}
