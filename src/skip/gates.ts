/** `W [outputs, d]`, row-major, and `b [outputs]`. */
export interface GateMatrix {
  readonly weight: Float32Array
  readonly bias: Float32Array
}

/**
 * The gates of all attentions or all MLPs of a model: for every token, with t what the gate reads,
 *
 *     g = sigmoid(W t + b)        a number per channel, or one for all
 *     score = mean(g)             the token runs the sublayer where its score is above the threshold
 *     x = x + (offset + gain · g) ⊙ sublayer(x)
 */
export interface Gates {
  /** The residual stream at the layer's entry, or what the sublayer itself reads: its input behind its norm. */
  readonly reads: 'entry' | 'normed'
  /** Of every layer; undefined where the sublayer is not routed. The same list for as long as it is the same weights: it is uploaded once. */
  readonly layers: readonly (GateMatrix | undefined)[]
  /** Rows of every matrix: the model's width, or 1. */
  readonly outputs: number
  /** What a score at the threshold does. */
  readonly tie: 'runs' | 'skips'
  /**
   * One decision for a whole sequence: of the mean of what the gate, of one output, reads of the chunk that begins it. What follows obeys that.
   */
  readonly pools?: boolean
  /** What the sublayer's output is multiplied by where it runs. Absent: nothing. */
  readonly output?: { readonly offset: number; readonly gain: number }
}
