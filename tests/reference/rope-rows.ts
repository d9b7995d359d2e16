/** The angles of one position: `[cos_0 … cos_h, sin_0 … sin_h]`, [headDim]. */
export type RopeRow = (position: number) => Float64Array

/** Rows from inverse frequencies [headDim / 2]: `angle_i = position * inverseFrequencies[i]`. */
export function ropeRow(inverseFrequencies: ArrayLike<number>): RopeRow {
  return (position) => {
    const angles = Float64Array.from(inverseFrequencies, (frequency) => position * frequency)
    return Float64Array.of(...angles.map(Math.cos), ...angles.map(Math.sin))
  }
}

/** The unscaled frequencies of Llama: `theta ^ (-2 i / headDim)`. */
export function plainFrequencies(theta: number, headDim: number): Float64Array {
  return Float64Array.from({ length: headDim / 2 }, (_, i) => theta ** ((-2 * i) / headDim))
}
