/** What tests of the runtime share: one tiny model on one device, its reference, and runs of both. */
import { afterAll, beforeAll, expect } from 'vitest'
import type { Engine } from '../../src/runtime/engine.js'
import { generateTokens } from '../../src/runtime/generate.js'
import type { StepRecord } from '../../src/runtime/records.js'
import { executed } from '../../src/runtime/records.js'
import type { Sampling } from '../../src/runtime/sampling.js'
import { GREEDY } from '../../src/runtime/sampling.js'
import { Sequence, type SequenceOptions } from '../../src/runtime/sequence.js'
import { loadEngineModel } from '../../src/sdk/load-model.js'
import type { EngineModel } from '../../src/sdk/model.js'
import type { LoadOptions } from '../../src/sdk/options.js'
import { dense } from '../../src/skip/dense.js'
import type { Phase, SkipPolicy } from '../../src/skip/policy.js'
import { type RouterWeights, readRouters } from '../../src/skip/router-weights.js'
import { describeWithGpu } from '../fixtures/dawn.js'
import { TINY_CONTEXT, type TinyModel, tinyModel } from '../fixtures/tiny-model.js'
import { type HubConfig, referenceConfig } from '../reference/hub-config.js'
import { type ForwardOptions, type ForwardResult, ReferenceModel, type ReferenceTensors } from '../reference/model.js'
import { plainFrequencies, type RopeRow, ropeRow } from '../reference/rope-rows.js'
import { foldRouters } from '../reference/routers.js'

/** Twice the limit that the golden README suggests would still be far from any wiring error. */
export const TOLERANCE = 1e-3

export interface Bench {
  readonly tiny: TinyModel
  readonly model: EngineModel
  readonly engine: Engine
  readonly routers: RouterWeights
  /** A sequence that is destroyed at the end of the file. */
  sequence(policy: SkipPolicy, options?: Partial<SequenceOptions>): Sequence
}

/** A suite around one tiny model. */
export function describeRuntime(name: string, body: (bench: () => Bench, gpu: () => GPU) => void): void {
  describeWithGpu(name, (gpu) => {
    let bench: Bench
    const sequences: Sequence[] = []
    beforeAll(async () => {
      const tiny = tinyModel()
      const model = await loadEngineModel(tiny.source, { gpu: gpu() })
      const engine = await model.engine()
      bench = {
        tiny,
        model,
        engine,
        routers: routersOf(tiny),
        sequence(policy, options) {
          const sequence = new Sequence(engine, policy, { contextLength: TINY_CONTEXT, ...options })
          sequences.push(sequence)
          return sequence
        },
      }
    })
    afterAll(() => {
      for (const sequence of sequences) sequence.destroy()
      expect(bench?.engine.gpu.uncapturedErrors ?? [], 'validation errors').toEqual([])
      bench?.model.dispose()
    })
    body(() => bench, gpu)
  })
}

/** Loads another tiny model for as long as `use` runs. */
export async function withModel<T>(
  gpu: GPU,
  tiny: TinyModel,
  options: LoadOptions,
  use: (engine: Engine, model: EngineModel) => Promise<T>,
): Promise<T> {
  const model = await loadEngineModel(tiny.source, { ...options, gpu })
  try {
    const engine = await model.engine()
    const result = await use(engine, model)
    expect(engine.gpu.uncapturedErrors, 'validation errors').toEqual([])
    return result
  } finally {
    model.dispose()
  }
}

export interface Run {
  tokens: number[]
  /** Of every fed position. */
  records: StepRecord[]
  /** After the prompt. */
  logits: Float32Array
  stopped: boolean
}

/** Generates until a stop token or `maxTokens`. */
export async function generate(
  sequence: Sequence,
  ids: readonly number[],
  maxTokens: number,
  options: Partial<Sampling> & { stepsPerSubmit?: number } = {},
): Promise<Run> {
  const { stepsPerSubmit, ...sampling } = options
  const run: Run = { tokens: [], records: [], logits: new Float32Array(0), stopped: false }
  let first = true
  const events = generateTokens(sequence, ids, {
    sampling: { ...GREEDY, ...sampling },
    maxTokens,
    contextLength: TINY_CONTEXT,
    seen: [],
    logits: true,
    stepsPerSubmit,
  })
  for await (const event of events) {
    if (event.kind === 'prompt') {
      run.records.push(...event.records)
      run.logits = event.logits!
      continue
    }
    if (!first) run.records.push(event.record)
    first = false
    if (event.kind === 'stop') run.stopped = true
    else run.tokens.push(event.token)
  }
  return run
}

/** One string per position, one character per sublayer, 1 = executed. */
export function bits(records: readonly StepRecord[], sublayers = 6): string[] {
  return records.map((r) => Array.from({ length: sublayers }, (_, i) => (executed(r.bits, i) ? '1' : '0')).join(''))
}

/** The same of the reference. */
export function referenceBits(steps: readonly ForwardResult[]): string[] {
  return steps.flatMap((step) =>
    Array.from(step.execute[0]!, (_, row) => step.execute.map((rows) => String(rows[row])).join('')),
  )
}

export function routersOf(tiny: TinyModel): RouterWeights {
  const { hidden_size, num_hidden_layers } = tiny.hub as unknown as HubConfig
  return readRouters(tiny.routers, hidden_size, num_hidden_layers)
}

/** Leaves sublayers out that no token runs, or none that is generated. */
export function leftOut(o: {
  skipped: readonly number[]
  scale?: number
  /** Default: both. */
  phase?: Phase
  /** Default: dense. */
  otherwise?: SkipPolicy
}): SkipPolicy {
  const { skipped, scale = 1, phase, otherwise = dense } = o
  return {
    ...otherwise,
    name: `left-out:${JSON.stringify({ ...o, otherwise: otherwise.name })}`,
    decide: (sublayer, now) =>
      skipped.includes(sublayer) && (phase ?? now) === now ? 'skip' : otherwise.decide(sublayer, now),
    scale: () => scale,
    ...(phase && { keysValues: 'projected' }),
  }
}

/** Routers that answer the same for every token. */
export function constantRouters(bias: number, layers = 3, hiddenSize = 32): RouterWeights {
  const each = Array.from({ length: layers }, () => ({ weight: new Float32Array(hiddenSize), bias }))
  return { kind: 'linear', attention: each, mlp: each }
}

export function reference(
  tiny: TinyModel,
  options: { tensors?: ReferenceTensors; rope?: RopeRow } = {},
): ReferenceModel {
  const hub = tiny.hub as unknown as HubConfig
  const config = referenceConfig(hub)
  const rope = options.rope ?? ropeRow(plainFrequencies(hub.rope_theta, config.headDim))
  return new ReferenceModel(config, options.tensors ?? tiny.tensors, rope)
}

export function referenceRouting(tiny: TinyModel): ForwardOptions {
  return { routers: foldRouters(tiny.routers, (tiny.hub as unknown as HubConfig).num_hidden_layers) }
}

/** The largest difference; NaN where one side has one. */
export function difference(actual: ArrayLike<number>, expected: ArrayLike<number>): number {
  expect(actual.length).toBe(expected.length)
  let worst = 0
  for (let i = 0; i < actual.length; i++) worst = Math.max(worst, Math.abs(actual[i]! - expected[i]!))
  return worst
}

/** Runs the model and the reference greedily and demands the same logits, decisions and tokens. */
export async function expectLikeReference(
  sequence: Sequence,
  model: ReferenceModel,
  ids: readonly number[],
  options: ForwardOptions & { tokens?: number } = {},
): Promise<void> {
  const { tokens = 12, ...forward } = options
  const expected = model.greedy(ids, tokens, forward)
  const run = await generate(sequence, ids, tokens)
  expect(difference(run.logits, expected.steps[0]!.logits.slice(-model.config.vocabSize))).toBeLessThan(TOLERANCE)
  expect(run.tokens).toEqual(expected.tokens)
  expect(bits(run.records, 2 * model.config.layers)).toEqual(referenceBits(expected.steps))
}
