export interface AdamWOptions {
  readonly learningRate: number
  readonly weightDecay: number
  readonly beta1: number
  readonly beta2: number
  readonly eps: number
  /** Gradients longer than this, in the 2-norm over all parameters, are shortened to it. */
  readonly maxNorm: number
  /** [n]: what the learning rate of each parameter is multiplied by, its decay's not. Default: 1. */
  readonly rates?: ArrayLike<number>
}

export interface AdamWState {
  readonly values: Float64Array
  readonly first: Float64Array
  readonly second: Float64Array
}

/**
 * Step t (from 1) of AdamW (Loshchilov & Hutter 2019) with clipping, in place. With `g` the clipped gradient: `m = β1 m + (1 − β1) g`,
 * `v = β2 v + (1 − β2) g²`, `p = p (1 − lr · decay) − lr · (m / (1 − β1^t)) / (sqrt(v / (1 − β2^t)) + eps)`.
 *
 * gradients [n], state of three [n]
 */
export function adamW(gradients: ArrayLike<number>, { values, first, second }: AdamWState, t: number, o: AdamWOptions) {
  const norm = Math.sqrt(Array.from(gradients).reduce((sum, g) => sum + g * g, 0))
  const clip = Math.min(1, o.maxNorm / (norm + 1e-6))
  for (let i = 0; i < values.length; i++) {
    const g = clip * gradients[i]!
    first[i] = o.beta1 * first[i]! + (1 - o.beta1) * g
    second[i] = o.beta2 * second[i]! + (1 - o.beta2) * g * g
    const step = first[i]! / (1 - o.beta1 ** t) / (Math.sqrt(second[i]! / (1 - o.beta2 ** t)) + o.eps)
    values[i] = values[i]! * (1 - o.learningRate * o.weightDecay) - o.learningRate * (o.rates?.[i] ?? 1) * step
  }
}
