/** How decode attention is cut along the context. */
export interface Splits {
  /** The most parts. */
  most: number
  /** Positions that a group scores at a time: one for each of its invocations. */
  tile: number
  /** Positions of a part at least, whole tiles: what merges the parts pays for each of them. */
  least: number
}

/** The most parts into which decode attention cuts the context, bounded by the workgroup memory of the reduction. */
export function maxSplits(heads: number): number {
  return Math.max(1, Math.min(16, Math.floor(1024 / heads)))
}

/** Parts that a context of so many positions needs at most. */
export function partsOf(splits: Splits, context: number): number {
  return Math.min(splits.most, Math.ceil(context / splits.least))
}

/** WGSL `splitLength(length)`: positions per part, whole tiles, such that at most `most` parts are used. */
export function splitLength({ most, tile, least }: Splits): string {
  return `fn splitLength(length: u32) -> u32 {
  let tiles = (length + ${tile - 1}u) / ${tile}u;
  return max(${least}u, ((tiles + ${most - 1}u) / ${most}u) * ${tile}u);
}`
}
