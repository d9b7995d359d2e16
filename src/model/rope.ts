/**
 * Rotary position embedding, rotate-half form: component i of a head turns with component i + D/2. `theta` is the base;
 * `linear` and `llama3` are the scalings of Hugging Face transformers (modeling_rope_utils.py).
 */
export type RopeConfig =
  | { readonly kind: 'default'; readonly theta: number }
  | { readonly kind: 'linear'; readonly theta: number; readonly factor: number }
  | {
      readonly kind: 'llama3'
      readonly theta: number
      readonly factor: number
      readonly lowFreqFactor: number
      readonly highFreqFactor: number
      /** The context that the model was trained with before it was extended, in tokens. */
      readonly originalContext: number
    }

/** The angle in radians that each of the D/2 pairs of a head turns per position, `[headDim / 2]`. */
export function inverseFrequencies(rope: RopeConfig, headDim: number): Float64Array {
  const frequencies = Float64Array.from({ length: headDim / 2 }, (_, pair) => rope.theta ** ((-2 * pair) / headDim))
  switch (rope.kind) {
    case 'default':
      return frequencies
    case 'linear':
      return frequencies.map((frequency) => frequency / rope.factor)
    case 'llama3': {
      const { factor, lowFreqFactor, highFreqFactor, originalContext } = rope
      return frequencies.map((frequency) => {
        const turns = (originalContext * frequency) / (2 * Math.PI) // over the original context
        // Pairs that turn often keep their frequency, those that turn seldom are slowed down, in between it is a blend.
        const keep = Math.min(1, Math.max(0, (turns - lowFreqFactor) / (highFreqFactor - lowFreqFactor)))
        return keep * frequency + ((1 - keep) * frequency) / factor
      })
    }
  }
}

/**
 * Cosines and sines for positions `from` to `from + count − 1`: row-major `[count, headDim]`, each row
 * `cos 0 … D/2−1, sin 0 … D/2−1`. Angles are formed in f64, since f32 angles are visibly off after some thousand tokens.
 */
export function ropeTable(rope: RopeConfig, headDim: number, from: number, count: number): Float32Array {
  const frequencies = inverseFrequencies(rope, headDim)
  const half = frequencies.length
  const table = new Float32Array(count * headDim)
  for (let row = 0; row < count; row++) {
    for (let pair = 0; pair < half; pair++) {
      const angle = (from + row) * frequencies[pair]!
      table[row * headDim + pair] = Math.cos(angle)
      table[row * headDim + half + pair] = Math.sin(angle)
    }
  }
  return table
}
