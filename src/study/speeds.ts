import { mainDtype } from '../model/matrix-dtypes.js'
import type { Engine } from '../runtime/engine.js'
import { generateTokens } from '../runtime/generate.js'
import { executed, type StepRecord } from '../runtime/records.js'
import { GREEDY } from '../runtime/sampling.js'
import { Sequence } from '../runtime/sequence.js'
import type { SkipPolicy } from '../skip/policy.js'
import { median } from './median.js'
import { stepWeightBytes } from './work.js'

/** A policy whose speed is measured. */
export interface Runner {
  readonly policy: SkipPolicy
  /** Everything is computed and thrown away where the policy skips: the control. */
  readonly masked: boolean
}

/** Medians over the rounds. */
export interface Speed {
  readonly prefillTokensPerSecond: number
  readonly decodeTokensPerSecond: number
  /** In decode, on average over the steps. */
  readonly weightBytesPerToken: number
}

export interface SpeedOptions {
  readonly prompt: readonly number[]
  /** Tokens to generate behind the first one. */
  readonly tokens: number
  readonly rounds: number
  readonly signal?: AbortSignal | undefined
  readonly onRound: (done: number) => void
}

const STEPS_PER_SUBMIT = 8
/** Turns between two of the first runner. */
const EVERY = 6

/**
 * Reads a prompt and generates, all runners in turn and round after round: what else the machine does meets all of them. The others are
 * compared with the first one, which is measured more often.
 */
export async function speeds(engine: Engine, runners: readonly Runner[], o: SpeedOptions): Promise<Speed[]> {
  const order = turns(runners.length)
  const found = runners.map(() => ({ prefill: [] as number[], decode: [] as number[], bytes: 0 }))
  // The first round compiles and warms up.
  for (let round = 0; round <= o.rounds; round++) {
    for (const i of order) {
      const run = await time(engine, runners[i] as Runner, o)
      const its = found[i] as (typeof found)[number]
      its.bytes = run.bytes
      if (round === 0) continue
      its.prefill.push(run.prefill)
      its.decode.push(run.decode)
    }
    o.onRound(round + 1)
  }
  return found.map(({ prefill, decode, bytes }) => ({
    prefillTokensPerSecond: median(prefill),
    decodeTokensPerSecond: median(decode),
    weightBytesPerToken: bytes,
  }))
}

/** The first one, then a few others, and so on. */
function turns(runners: number): number[] {
  const others = Array.from({ length: runners - 1 }, (_, i) => i + 1)
  return [0, ...others.flatMap((i) => (i % EVERY === 0 ? [i, 0] : [i]))]
}

async function time(engine: Engine, { policy, masked }: Runner, { prompt, tokens, signal }: SpeedOptions) {
  const contextLength = prompt.length + tokens
  const sequence = new Sequence(engine, policy, { contextLength, masked })
  try {
    await sequence.prepare('all')
    const records: StepRecord[] = []
    const started = performance.now()
    let decoding = started
    const options = { sampling: GREEDY, maxTokens: tokens + 1, contextLength, seen: [], signal }
    for await (const event of generateTokens(sequence, prompt, { ...options, stepsPerSubmit: STEPS_PER_SUBMIT })) {
      if (event.kind === 'prompt') decoding = performance.now()
      // The first token is the prompt's.
      else records.push(event.record)
    }
    const ended = performance.now()
    return {
      prefill: (1000 * prompt.length) / (decoding - started),
      decode: (1000 * tokens) / (ended - decoding),
      bytes: bytesPerToken(engine, records.slice(1)),
    }
  } finally {
    sequence.destroy()
  }
}

function bytesPerToken({ shape, weights }: Engine, records: readonly StepRecord[]): number {
  const bytes = records.map(({ bits, keysValues }) =>
    stepWeightBytes(shape.config, mainDtype(weights.dtypes), {
      ran: (sublayer) => executed(bits, sublayer),
      keysValues: (layer) => keysValues[layer] === true,
    }),
  )
  return bytes.reduce((sum, one) => sum + one, 0) / records.length
}
