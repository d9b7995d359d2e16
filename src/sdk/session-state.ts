import type { StepRecord } from '../runtime/records.js'
import { Trace, type TraceFile } from '../runtime/trace.js'
import type { SessionStats } from './session-api.js'

/** What became of a conversation since a reader last looked: everything from these lengths on. */
export interface StateChange {
  readonly tokensFrom: number
  readonly tokens: readonly number[]
  readonly positionsFrom: number
  readonly records: readonly StepRecord[]
  readonly timings: SessionStats['timings']
  readonly streaming: SessionStats['streaming']
  readonly speculation: SessionStats['speculation']
}

/** What is known of a conversation without its cache. */
export class SessionState {
  /** Prompts and generated tokens. */
  readonly tokens: number[]
  /** What the fed positions executed. */
  readonly trace: Trace
  timings: SessionStats['timings']
  streaming: SessionStats['streaming']
  speculation: SessionStats['speculation']

  constructor(layers: number, from?: SessionState) {
    this.tokens = from ? [...from.tokens] : []
    this.trace = from ? from.trace.copy() : new Trace(layers)
  }

  stats(): SessionStats {
    return { positions: this.trace.length, skip: this.trace.ratios(), ...this.#figures() }
  }

  file(): TraceFile {
    return this.trace.toFile(this.tokens)
  }

  /** What a reader lacks that has the first `tokens` and `positions`, or all there are where there are fewer now. */
  since(tokens: number, positions: number): StateChange {
    const tokensFrom = Math.min(tokens, this.tokens.length)
    const positionsFrom = Math.min(positions, this.trace.length)
    return {
      tokensFrom,
      tokens: this.tokens.slice(tokensFrom),
      positionsFrom,
      records: this.trace.from(positionsFrom),
      ...this.#figures(),
    }
  }

  apply(change: StateChange): void {
    this.tokens.splice(change.tokensFrom, this.tokens.length, ...change.tokens)
    this.trace.rewind(change.positionsFrom)
    this.trace.push(...change.records)
    this.timings = change.timings
    this.streaming = change.streaming
    this.speculation = change.speculation
  }

  /** As they are now: they go on counting. */
  #figures(): Pick<SessionStats, 'timings' | 'streaming' | 'speculation'> {
    const { timings, streaming, speculation } = this
    return structuredClone({ timings, streaming, speculation })
  }
}
