/** A linear axis. */
export interface Scale {
  readonly ticks: readonly number[]
  /** Where a value lies on the page. */
  at(value: number): number
}

const STEPS = [1, 2, 5, 10]

/** Round numbers from at or below `low` to at or above `high`, about `count` of them. */
export function ticks(low: number, high: number, count = 5): number[] {
  const span = high - low
  // A flat line still needs an axis around it, and so does one that differs by rounding only.
  if (!(span > 1e-9 * Math.max(1, Math.abs(low), Math.abs(high)))) return ticks(low - 0.5, low + 0.5, count)
  const rough = span / count
  const power = 10 ** Math.floor(Math.log10(rough))
  const step = power * (STEPS.find((factor) => factor * power >= rough * 0.999) ?? 10)
  const first = Math.floor(low / step + 1e-9)
  const last = Math.ceil(high / step - 1e-9)
  return Array.from({ length: last - first + 1 }, (_, i) => Number(((first + i) * step).toPrecision(12)))
}

/** Puts the range of `values`, widened to round numbers, between `from` and `to`. */
export function scale(values: readonly number[], from: number, to: number): Scale {
  const marks = values.length === 0 ? [0, 1] : ticks(Math.min(...values), Math.max(...values))
  const low = marks[0] as number
  const high = marks.at(-1) as number
  return { ticks: marks, at: (value) => from + ((value - low) / (high - low)) * (to - from) }
}
