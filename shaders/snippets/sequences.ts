/** Attention over whole sequences of equal length, one behind the other, as training sees them. */
export interface SequenceAttentionOptions {
  heads: number
  kvHeads: number
  headDim: number
  /** As in attention-prefill. */
  unrolled: boolean
}

/** Rows that a group of an attention kernel over sequences takes: one for each invocation. */
export const SEQUENCE_GROUP = 32

/** WGSL `total(v)`: the sum of four. */
export const total = 'fn total(v: vec4f) -> f32 { return v.x + v.y + v.z + v.w; }'

/** The factor of scores, 1 / sqrt(headDim). */
export function scoreScale(headDim: number): string {
  return `${(1 / Math.sqrt(headDim)).toPrecision(9)}f`
}
