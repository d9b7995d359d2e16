import type { TokenStore } from './token-store.js'

/** Shares that were skipped, 0 to 1. */
export interface Shares {
  readonly attention: number
  readonly mlp: number
}

export interface RatioBin extends Shares {
  /** Positions `from` to `to`, the latter included. */
  readonly from: number
  readonly to: number
}

/** Shares over all positions that ran, by layer. */
export function ratiosByLayer(store: TokenStore): Shares[] {
  const share = (sublayer: number) => (store.runCount === 0 ? 0 : store.skippedAt(sublayer) / store.runCount)
  return Array.from({ length: store.layers }, (_, layer) => ({
    attention: share(2 * layer),
    mlp: share(2 * layer + 1),
  }))
}

/** Shares over all positions and layers, and of both kinds together. */
export function totalRatios(store: TokenStore): Shares & { total: number } {
  let attention = 0
  let mlp = 0
  for (const layer of ratiosByLayer(store)) {
    attention += layer.attention / store.layers
    mlp += layer.mlp / store.layers
  }
  return { attention, mlp, total: (attention + mlp) / 2 }
}

/** Shares along the text, in at most `bins` stretches of equal length, the last one perhaps shorter. */
export function ratiosAlong(store: TokenStore, bins: number): RatioBin[] {
  const length = store.ranLength
  const size = Math.max(1, Math.ceil(length / bins))
  const result: RatioBin[] = []
  for (let from = 0; from < length; from += size) {
    const end = Math.min(from + size, length)
    let attention = 0
    let mlp = 0
    let visits = 0
    for (let position = from; position < end; position++) {
      if (!store.hasRun(position)) continue
      visits += store.layers
      attention += store.countRan(position, 'attention')
      mlp += store.countRan(position, 'mlp')
    }
    if (visits > 0) result.push({ from, to: end - 1, attention: 1 - attention / visits, mlp: 1 - mlp / visits })
  }
  return result
}
