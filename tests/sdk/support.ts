import { MessageChannel } from 'node:worker_threads'
import { afterAll, beforeAll, expect, vi } from 'vitest'
import { SkipstoneError } from '../../src/errors.js'
import type { GenerateOptions, LoadOptions, Model, Session, SessionOptions, Step } from '../../src/index.js'
import type { Engine } from '../../src/runtime/engine.js'
import type { EngineModel } from '../../src/sdk/model.js'
import { loadModel } from '../../src/worker/client.js'
import { Connection } from '../../src/worker/connection.js'
import type { Port } from '../../src/worker/port.js'
import { SharedModels } from '../../src/worker/shared-models.js'
import { describeWithGpu } from '../fixtures/dawn.js'
import { loadTiny, randomIds, type TinyOptions, tinyModel } from '../fixtures/tiny-model.js'

export type PromptStep = Extract<Step, { kind: 'prompt' }>
export type EndStep = Extract<Step, { kind: 'end' }>

export interface Collected {
  prompt: PromptStep
  tokens: number[]
  text: string
  end: EndStep
  steps: Step[]
}

export async function collect(generation: AsyncIterable<Step>): Promise<Collected> {
  const steps: Step[] = []
  for await (const step of generation) steps.push(step)
  const end = steps.at(-1)!
  const prompt = steps[0]!
  if (prompt.kind !== 'prompt' || end.kind !== 'end') throw new Error('the steps do not begin and end as they should')
  const tokens = steps.flatMap((step) => (step.kind === 'token' ? [step.token] : []))
  return { prompt, tokens, text: steps.map(({ text }) => text).join(''), end, steps }
}

/** Greedy and past stop tokens. */
export const PLAIN: GenerateOptions = { temperature: 0, ignoreEos: true }

export function generated(
  session: Session,
  prompt: string | readonly number[],
  options?: GenerateOptions,
): Promise<Collected> {
  return collect(session.generate(prompt, { ...PLAIN, ...options }))
}

/** Demands a SkipstoneError with this code and a sentence, not just a word. */
export async function expectError(failing: Promise<unknown> | (() => unknown), code: string): Promise<void> {
  const error = await (typeof failing === 'function' ? (async () => failing())() : failing).then(
    () => undefined,
    (thrown: unknown) => thrown,
  )
  expect(error, `expected ${code}`).toBeInstanceOf(SkipstoneError)
  const { code: actual, message } = error as SkipstoneError
  expect(actual, message).toBe(code)
  expect(message).toMatch(/^\S.*\s.*[.!]$/s)
}

const PROMPT = randomIds(12, 61)

export interface Loaded {
  readonly model: Model
  /** The engine behind it, wherever that is. */
  engine(): Promise<Engine>
}

export interface Bench extends Loaded {
  /** Another tiny model, loaded the same way. */
  load(options?: TinyLoadOptions): Promise<Loaded>
  session(options?: SessionOptions): Session
  /** The model's bytes on the GPU when everything that was asked for is done. */
  gpuBytes(): Promise<number>
  /** Demands that the model still generates what it did at first. */
  stillWorks(): Promise<void>
}

type TinyLoadOptions = LoadOptions & { checkpoint?: TinyOptions }
type Load = (options?: TinyLoadOptions) => Promise<Loaded>
type Body = (bench: () => Bench, gpu: () => GPU) => void

/** Tests of a model on an engine of this thread. */
export function describeSdk(name: string, body: Body): void {
  describeLoaded(name, (gpu) => async (options) => onThisThread(await loadTiny(gpu, options)), body)
}

/** The same tests for a model on this thread, and for one that is reached as a worker is. */
describeSdk.anywhere = (name: string, body: Body): void => {
  describeSdk(name, body)
  describeLoaded(
    `${name}, through a worker's port`,
    (gpu) => {
      const { port1, port2 } = new MessageChannel()
      const models = new WatchedModels()
      new Connection(port2 as unknown as Port, models, gpu)
      // The test must not wait for messages that nobody sends.
      for (const port of [port1, port2] as unknown as { unref(): void }[]) port.unref()
      return async ({ checkpoint, ...options } = {}) => {
        const { source } = tinyModel(checkpoint)
        const model = await loadModel(source, { ...options, worker: port1 as unknown as globalThis.MessagePort })
        return { model, engine: onThisThread(models.last!).engine }
      }
    },
    body,
  )
}

/** Shows the test which model the other end of a port has loaded. */
class WatchedModels extends SharedModels {
  last: EngineModel | undefined

  override async use(...args: Parameters<SharedModels['use']>): ReturnType<SharedModels['use']> {
    const used = await super.use(...args)
    this.last = used.model
    return used
  }
}

function onThisThread(model: EngineModel): Loaded {
  return { model, engine: () => model.engine() }
}

function describeLoaded(name: string, loader: (gpu: GPU) => Load, body: Body): void {
  describeWithGpu(name, (gpu) => {
    let bench: Bench
    beforeAll(async () => {
      const load = loader(gpu())
      const { model, engine } = await load()
      const session = (options?: SessionOptions) => model.createSession(options)
      const run = async () => {
        using own = session({ policy: 'skipgpt' })
        return (await generated(own, PROMPT, { maxTokens: 16 })).tokens
      }
      const expected = await run()
      const gpuBytes = async () => {
        // A worker answers in order, and tells its figures before.
        await model.text.encode('')
        return model.gpuBytes
      }
      bench = { model, engine, load, session, gpuBytes, stillWorks: async () => expect(await run()).toEqual(expected) }
    })
    afterAll(async () => {
      if (!bench) return
      const { gpu: device } = await bench.engine()
      expect(device.uncapturedErrors, 'validation errors').toEqual([])
      bench.model.dispose()
      expect(bench.model.gpuBytes).toBe(0)
      await vi.waitFor(() => expect(device.memory.bytes).toBe(0))
    })
    body(() => bench, gpu)
  })
}
