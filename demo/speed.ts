/** The newest part of a download that its speed is taken from. */
const WINDOW_MS = 5000

/** How fast bytes come, and how long the rest will take. */
export class Speed {
  #seen: { at: number; bytes: number }[] = []

  /** Bytes per second over the last seconds; undefined until that can be told. */
  add(bytes: number, at = performance.now()): number | undefined {
    this.#seen = this.#seen.filter((one) => one.at > at - WINDOW_MS && one.bytes <= bytes)
    this.#seen.push({ at, bytes })
    const [first] = this.#seen
    if (!first || at - first.at < 500 || bytes === first.bytes) return undefined
    return (1000 * (bytes - first.bytes)) / (at - first.at)
  }
}

/** As people say it. */
export function remaining(seconds: number): string {
  if (seconds < 60) return `${Math.max(1, Math.round(seconds))} s left`
  return seconds < 3600 ? `${Math.round(seconds / 60)} min left` : `${(seconds / 3600).toFixed(1)} h left`
}
