/**
 * Gates with a value for every channel (GateSkip): `g = sigmoid(v + bias)`, each row's mean, which is its score, and the sum of its squares.
 *
 * v [rows, d], bias [d] -> gates [rows, d], scores and squares [rows]
 */
export function channelGates(v: ArrayLike<number>, bias: ArrayLike<number>) {
  const d = bias.length
  const gates = Float64Array.from(v, (value, i) => 1 / (1 + Math.exp(-(value + bias[i % d]!))))
  const sumOf = (of: (g: number) => number) =>
    Float64Array.from({ length: v.length / d }, (_, r) =>
      gates.subarray(r * d, (r + 1) * d).reduce((sum, g) => sum + of(g), 0),
    )
  return { gates, scores: sumOf((g) => g).map((sum) => sum / d), squares: sumOf((g) => g * g) }
}

/** 1 for all rows but the share 1 − rate with the lowest scores, to the nearest row; of equal scores the earlier row is the lower one. */
export function keepRanked(scores: ArrayLike<number>, rate: number): Uint8Array {
  const skipped = Math.floor((1 - rate) * scores.length + 0.5)
  const order = Array.from(scores, (score, row) => ({ score, row })).sort((a, b) => a.score - b.score || a.row - b.row)
  const kept = new Uint8Array(scores.length).fill(1)
  for (const { row } of order.slice(0, skipped)) kept[row] = 0
  return kept
}

/**
 * A sublayer that is gated by channel, `y = x + kept · gates ⊙ branch`.
 *
 * x, gates and branch [rows, d], kept [rows] -> [rows, d]
 */
export function channelGatesApply(
  x: ArrayLike<number>,
  kept: ArrayLike<number>,
  gates: ArrayLike<number>,
  branch: ArrayLike<number>,
): Float64Array {
  const d = branch.length / kept.length
  return Float64Array.from(x, (value, i) => value + kept[Math.floor(i / d)]! * gates[i]! * branch[i]!)
}

/** `coefficient · mean(g²)` over the gates of all sublayers, rows and channels. */
export function squaresPenalty(gates: ArrayLike<number>, coefficient: number): number {
  return (coefficient * Array.from(gates).reduce((sum, g) => sum + g * g, 0)) / gates.length
}

/**
 * Gradients of the gated sublayer, and of the penalty over `count` gates in all, in its branch and in what the sigmoid reads:
 * `dBranch = kept · g dy`, `dv = (kept · branch dy + 2 coefficient / count · g) g (1 − g)`. Decisions are constants; dx is dy.
 *
 * dy, gates and branch [rows, d], kept [rows] -> dBranch and dv [rows, d]
 */
export function channelGatesBackward(
  dy: ArrayLike<number>,
  kept: ArrayLike<number>,
  gates: ArrayLike<number>,
  branch: ArrayLike<number>,
  { coefficient, count }: { readonly coefficient: number; readonly count: number },
) {
  const d = branch.length / kept.length
  const through = Float64Array.from(dy, (value, i) => kept[Math.floor(i / d)]! * value)
  return {
    dBranch: through.map((value, i) => value * gates[i]!),
    dv: through.map((value, i) => {
      const g = gates[i]!
      return (value * branch[i]! + ((2 * coefficient) / count) * g) * g * (1 - g)
    }),
  }
}
