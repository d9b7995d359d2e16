import { SkipstoneError } from '../errors.js'
import { mainDtype } from '../model/matrix-dtypes.js'
import type { Engine } from '../runtime/engine.js'
import type { DecodeRecord, Read, StepRecord } from '../runtime/records.js'
import { GREEDY } from '../runtime/sampling.js'
import { Sequence } from '../runtime/sequence.js'
import { Trace } from '../runtime/trace.js'
import { dense } from '../skip/dense.js'
import { forced } from '../skip/forced.js'
import type { SkipPolicy } from '../skip/policy.js'
import { median } from './median.js'
import { syntheticIds } from './synthetic.js'
import { decodeBytes, prefillFlops, type Visit } from './work.js'

export interface BenchRow {
  shape: string
  mode: 'dense' | 'skip' | 'masked'
  phase: 'prefill' | 'decode'
  /** Prompt length (prefill), or context at the start (decode). */
  tokens: number
  /** Share asked to skip; of a policy that nothing was asked of, what it skipped. */
  skip: number
  /** Of the whole prompt in prefill, of one token in decode: a median where dense, else as `besideDense` has it. */
  ms: number
  dispatchesPerLayer: number
  /** CPU waits per token inside the measured part. */
  waitsPerToken: number
  /** Bytes of streamed weights in one token of decode; absent where they all fit. */
  streamedBytesPerToken?: number
  /** msDense / ms. */
  speedup: number
  /** workDense / work. */
  idealSpeedup: number
  /** Share of the possible saving that was realised, (1 − ms/msDense) / (1 − work/workDense); null where nothing is saved. */
  ofIdeal: number | null
}

export interface BenchOptions {
  shape: string
  /** The first one is dense, and what the others are compared with. */
  runs: readonly BenchRun[]
  tokens: readonly number[]
  repeats: number
  phases: readonly BenchRow['phase'][]
  /** A text at least as long as the tokens, for policies that read what they decide on. Default: any tokens, and for decode steps a context without contents. */
  text?: readonly number[]
  signal?: AbortSignal | undefined
  progress: (text: string) => void
}

export interface BenchRun {
  readonly mode: BenchRow['mode']
  readonly policy: SkipPolicy
  /** Share that is asked for, where one is. */
  readonly skip?: number
}

const DENSE: BenchRun = { mode: 'dense', policy: dense, skip: 0 }

/** Masks by lot of these shares; of the last one the control too, which computes the same whatever the share. */
export function forcedRuns(skips: readonly number[]): BenchRun[] {
  const run = (mode: BenchRow['mode'], skip: number): BenchRun => ({ mode, policy: forced({ skip, seed: 1 }), skip })
  const masked = skips.filter((skip) => skip > 0).slice(-1)
  return [DENSE, ...skips.map((skip) => run('skip', skip)), ...masked.map((skip) => run('masked', skip))]
}

/** A policy, and its control where it decides about tokens: what every token skips is computed in neither. */
export function policyRuns(policy: SkipPolicy): BenchRun[] {
  if (policy.name === dense.name) return [DENSE]
  return [DENSE, { mode: 'skip', policy }, ...(policy.scoring ? [{ mode: 'masked', policy } as const] : [])]
}

/**
 * The time of a run beside that of the dense one: machines change their speed between rounds, so it is the dense median times the median of the ratios
 * within a round.
 */
export function besideDense(ms: readonly number[], dense: readonly number[]): number {
  return median(dense) * median(ms.map((own, round) => own / (dense[round] as number)))
}

const DECODE_STEPS = 16
const STEPS_PER_SUBMIT = 8

interface Variant {
  readonly run: BenchRun
  readonly sequence: Sequence
  readonly ms: number[]
  /** FLOPs or bytes of one run; sums over runs divide out. */
  readonly work: number[]
  waits: number
  /** Of all visits of sublayers. */
  skipped: number
  /** Per token. */
  streamed: number | undefined
  dispatchesPerLayer: number
}

interface Sample {
  ms: number
  skipped: number
  work: number
  waits: number
  streamed?: number | undefined
}

/** Times prefill and decode, dense against what skips, in turns: medians of the ratios to the dense run of the same round. */
export async function bench(engine: Engine, options: BenchOptions): Promise<BenchRow[]> {
  const rows: BenchRow[] = []
  for (const tokens of options.tokens) {
    for (const phase of options.phases) {
      const variants = makeVariants(engine, options)
      try {
        for (const { sequence } of variants) await demandRealLogits(sequence)
        const measure = phase === 'prefill' ? prefillOnce : decodeOnce
        // The first round compiles and warms up.
        for (let round = 0; round <= options.repeats; round++) {
          for (const variant of variants) {
            options.signal?.throwIfAborted()
            const { mode, policy, skip = '' } = variant.run
            options.progress(`${options.shape} ${phase} ${tokens} ${mode} ${policy.name} ${skip}, round ${round}\n`)
            const sample = await measure(engine, variant.sequence, tokens, options.text)
            options.progress(`  ${sample.ms.toFixed(2)} ms\n`)
            if (round === 0) continue
            variant.ms.push(sample.ms)
            variant.work.push(sample.work)
            variant.waits = sample.waits
            variant.skipped = sample.skipped
            variant.streamed = sample.streamed
          }
        }
        for (const v of variants) v.dispatchesPerLayer = await dispatches(v.sequence, phase)
        rows.push(...variants.map((v) => toRow(v, variants[0] as Variant, options.shape, phase, tokens)))
      } finally {
        for (const { sequence } of variants) sequence.destroy()
      }
    }
  }
  return rows
}

function makeVariants(engine: Engine, options: BenchOptions): Variant[] {
  return options.runs.map((run) => ({
    run,
    sequence: new Sequence(engine, run.policy, {
      contextLength: engine.shape.config.contextLength,
      masked: run.mode === 'masked',
    }),
    ms: [],
    work: [],
    waits: 0,
    skipped: 0,
    streamed: undefined,
    dispatchesPerLayer: 0,
  }))
}

function skippedOf({ shape }: Engine, records: readonly StepRecord[]): number {
  const trace = new Trace(shape.config.layers)
  trace.push(...records)
  return trace.ratios().total
}

/** A shader that exceeds a limit may silently do nothing, and be very fast at it. */
async function demandRealLogits(sequence: Sequence): Promise<void> {
  const { logits } = await sequence.prefill([1, 2, 3], { sampling: GREEDY, logits: true })
  if (logits?.every(Number.isFinite) && logits.some((value) => value !== 0)) return
  throw new SkipstoneError('internal', 'The benchmark computed nothing, or no numbers: its times would mean nothing.')
}

async function prefillOnce(
  engine: Engine,
  sequence: Sequence,
  tokens: number,
  text?: readonly number[],
): Promise<Sample> {
  const ids = text?.slice(0, tokens) ?? syntheticIds(tokens, engine.shape.config.vocabSize)
  sequence.rewind(0)
  const waits = sequence.waits
  const started = performance.now()
  const { records } = await sequence.prefill(ids, { sampling: GREEDY })
  const ms = performance.now() - started
  const visits = records.map(({ bits, keysValues }, position) => ({ position, bits, keysValues }))
  const work = prefillFlops(engine.shape.config, visits)
  return { ms, skipped: skippedOf(engine, records), work, waits: (sequence.waits - waits) / tokens }
}

async function decodeOnce(
  engine: Engine,
  sequence: Sequence,
  tokens: number,
  text?: readonly number[],
): Promise<Sample> {
  if (text) sequence.rewind(0)
  else await sequence.assume(tokens - 1)
  await sequence.prefill(text?.slice(0, tokens) ?? [tokens % engine.shape.config.vocabSize], { sampling: GREEDY })
  const waits = sequence.waits
  const { bytes } = sequence.traffic.decode
  const records: DecodeRecord[] = []
  const started = performance.now()
  const pending: Read[] = []
  for (let step = 0; step < DECODE_STEPS; step += STEPS_PER_SUBMIT)
    pending.push(await sequence.decode(STEPS_PER_SUBMIT))
  for (const read of pending) {
    records.push(...(await read()))
  }
  const ms = (performance.now() - started) / DECODE_STEPS
  const visits = records.map((record, i): Visit => ({ ...record, position: tokens + i }))
  const work = decodeBytes(engine.shape.config, mainDtype(engine.weights.dtypes), visits) / DECODE_STEPS
  const streamed = sequence.streams ? (sequence.traffic.decode.bytes - bytes) / DECODE_STEPS : undefined
  return { ms, skipped: skippedOf(engine, records), work, waits: (sequence.waits - waits) / DECODE_STEPS, streamed }
}

async function dispatches(sequence: Sequence, phase: 'prefill' | 'decode'): Promise<number> {
  const { decode, prefill } = await sequence.dispatchesPerLayer()
  return phase === 'decode' ? decode : prefill
}

function toRow(v: Variant, base: Variant, shape: string, phase: 'prefill' | 'decode', tokens: number): BenchRow {
  const msDense = median(base.ms)
  const ms = besideDense(v.ms, base.ms)
  const work = median(v.work)
  const workDense = median(base.work)
  const { mode, skip = v.skipped } = v.run
  const possible = mode === 'skip' ? 1 - work / workDense : 0
  return {
    shape,
    mode,
    phase,
    tokens,
    skip,
    ms,
    dispatchesPerLayer: v.dispatchesPerLayer,
    waitsPerToken: v.waits,
    ...(v.streamed !== undefined && { streamedBytesPerToken: v.streamed }),
    speedup: msDense / ms,
    idealSpeedup: mode === 'skip' ? workDense / work : 1,
    ofIdeal: possible > 0.01 ? (1 - ms / msDense) / possible : null,
  }
}
