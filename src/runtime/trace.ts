import { executed, type StepRecord } from './records.js'

/** Share of sublayer visits that were skipped, 0 to 1. */
export interface SkipRatios {
  attention: number
  mlp: number
  total: number
  byLayer: { attention: number; mlp: number }[]
}

/** What `--trace` writes and the inspector reads: one character per layer, 1 = executed. */
export interface TraceStep {
  position: number
  token: number
  attention: string
  mlp: string
  /** 0 where a layer's keys and values were not made; absent where all were. */
  keysValues?: string
  marginAttention?: number[]
  marginMlp?: number[]
}

export interface TraceFile {
  layers: number
  steps: TraceStep[]
}

/** The decisions of every position that was fed. */
export class Trace {
  readonly #records: StepRecord[] = []

  constructor(readonly layers: number) {}

  /** Positions recorded. */
  get length(): number {
    return this.#records.length
  }

  push(...records: readonly StepRecord[]): void {
    for (const record of records) this.#records.push(record)
  }

  /** The records of positions `first` and later. */
  from(first: number): readonly StepRecord[] {
    return this.#records.slice(first)
  }

  /** Another trace with the same positions. */
  copy(): Trace {
    const copy = new Trace(this.layers)
    copy.push(...this.#records)
    return copy
  }

  /** Forgets positions from `length` on. */
  rewind(length: number): void {
    this.#records.length = Math.min(this.#records.length, length)
  }

  /** Skip ratios over positions `from` and later. */
  ratios(from = 0): SkipRatios {
    const counts = new Float64Array(2 * this.layers)
    const records = this.from(from)
    for (const { bits } of records) {
      for (let s = 0; s < counts.length; s++) if (!executed(bits, s)) counts[s] = (counts[s] as number) + 1
    }
    const share = (s: number) => (records.length === 0 ? 0 : (counts[s] as number) / records.length)
    const byLayer = Array.from({ length: this.layers }, (_, layer) => ({
      attention: share(2 * layer),
      mlp: share(2 * layer + 1),
    }))
    const mean = (kind: 'attention' | 'mlp') => byLayer.reduce((sum, l) => sum + l[kind], 0) / this.layers
    const attention = mean('attention')
    const mlp = mean('mlp')
    return { attention, mlp, total: (attention + mlp) / 2, byLayer }
  }

  /** The trace as a file, with the token that was fed at each position. */
  toFile(tokens: readonly number[]): TraceFile {
    return {
      layers: this.layers,
      steps: this.#records.map((record, position) => this.#step(record, position, tokens[position] as number)),
    }
  }

  #step({ bits, margins, keysValues }: StepRecord, position: number, token: number): TraceStep {
    const layers = Array.from({ length: this.layers }, (_, i) => i)
    const text = (offset: 0 | 1) => layers.map((l) => (executed(bits, 2 * l + offset) ? '1' : '0')).join('')
    const step: TraceStep = { position, token, attention: text(0), mlp: text(1) }
    if (keysValues.includes(false)) step.keysValues = keysValues.map(Number).join('')
    if (margins) {
      step.marginAttention = layers.map((l) => margins[2 * l] as number)
      step.marginMlp = layers.map((l) => margins[2 * l + 1] as number)
    }
    return step
  }
}
