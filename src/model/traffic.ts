/** What streaming weights costs. */
export interface Traffic {
  /** Positions that were fed. */
  tokens: number
  /** Bytes read from where the model is kept. */
  bytes: number
  /** How often the CPU waited for the GPU's decisions before it knew what to bring. */
  waits: number
  /** Time in those waits, and until what was needed had come. */
  waitMs: number
  /** Parts that were needed though most tokens skip them: brought only when the decision was known. */
  misses: number
  /** Parts that were brought because most tokens need them, and were skipped. */
  inVain: number
}

export function noTraffic(): Traffic {
  return { tokens: 0, bytes: 0, waits: 0, waitMs: 0, misses: 0, inVain: 0 }
}
