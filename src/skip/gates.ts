/** `W [outputs, d]`, row-major, and `b [outputs]`. */
export interface GateMatrix {
  readonly weight: Float32Array
  readonly bias: Float32Array
}

/** What a gate makes of the units v of its hidden layer: `g = sigmoid(weight · activation(norm ⊙ v / rms(v)) + bias)`, one for a token. */
export interface GateHead {
  /** [units] */
  readonly norm: Float32Array
  /** [units] */
  readonly weight: Float32Array
  readonly bias: number
}

/** A small MLP: `down(silu(gate t) ⊙ up t)`. */
export interface Adapter {
  /** Of `gate` and then of `up`: [2 units, d], [2 units]. */
  readonly gateUp: GateMatrix
  /** [d, units], [d] */
  readonly down: GateMatrix
}

/**
 * Small MLPs for tokens that skip a layer: with g the token's gate and n the norm of the layer's MLP,
 *
 *     g > threshold:   y = x + attention(x),  x = y + g · MLP(n(y))
 *     else:            x = x + (1 − g) · adapter(n(x))
 */
export interface Adapters {
  /** Undefined where a layer is not routed. */
  readonly layers: readonly (Adapter | undefined)[]
  /** Units of every adapter. */
  readonly units: number
  /** What holds every value of the adapters' matrices exactly. */
  readonly dtype: 'f32' | 'bf16'
}

/**
 * One gate for both sublayers of a layer. The same object for as long as it is the same weights: they are uploaded once. Undefined where a layer is
 * not routed.
 */
export interface LayerGates {
  readonly heads: readonly (GateHead | undefined)[]
  readonly activation: 'tanh' | 'silu'
  /** So many tokens at the beginning of a sequence run everything; their gates count as 1. */
  readonly initials: number
  /** Absent: a token that skips a layer gets nothing. */
  readonly adapters?: Adapters
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
  /** Rows of every matrix: the model's width, or 1; with `ofLayers`, any number. */
  readonly outputs: number
  /** What a score at the threshold does. */
  readonly tie: 'runs' | 'skips'
  /**
   * One decision for a whole sequence: of the mean of what the gate, of one output, reads of the chunk that begins it. What follows obeys that.
   */
  readonly pools?: boolean
  /**
   * Of an MLP's gates: they are those of whole layers, of what their attention reads. W t + b are then `outputs` units of a hidden layer, and the heads
   * make one number of them.
   */
  readonly ofLayers?: LayerGates
  /** What the sublayer's output is multiplied by where it runs. Absent: nothing. */
  readonly output?: { readonly offset: number; readonly gain: number }
}
