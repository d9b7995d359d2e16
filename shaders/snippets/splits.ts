/** Positions that one tile of the decode attention handles. */
export const SPLIT_TILE = 64

/** The most parts into which decode attention cuts the context, bounded by the workgroup memory of the reduction. */
export function maxSplits(heads: number): number {
  return Math.max(1, Math.min(16, Math.floor(1024 / heads)))
}

/** WGSL `splitLength(length)`: positions per part, a multiple of the tile, such that at most `splits` parts are used. */
export function splitLength(splits: number): string {
  return `fn splitLength(length: u32) -> u32 {
  let tiles = (length + ${SPLIT_TILE - 1}u) / ${SPLIT_TILE}u;
  return ((tiles + ${splits - 1}u) / ${splits}u) * ${SPLIT_TILE}u;
}`
}
