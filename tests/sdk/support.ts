import { afterAll, beforeAll, expect } from 'vitest'
import { SkipstoneError } from '../../src/errors.js'
import type { GenerateOptions, Session, SessionOptions, Step } from '../../src/index.js'
import type { EngineModel } from '../../src/sdk/model.js'
import { describeWithGpu } from '../fixtures/dawn.js'
import { loadTiny, randomIds } from '../fixtures/tiny-model.js'

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

export interface Bench {
  readonly model: EngineModel
  session(options?: SessionOptions): Session
  /** Demands that the model still generates what it did at first. */
  stillWorks(): Promise<void>
}

export function describeSdk(name: string, body: (bench: () => Bench, gpu: () => GPU) => void): void {
  describeWithGpu(name, (gpu) => {
    let bench: Bench
    beforeAll(async () => {
      const model = await loadTiny(gpu())
      const session = (options?: SessionOptions) => model.createSession(options)
      const run = async () => {
        using own = session({ policy: 'skipgpt' })
        return (await generated(own, PROMPT, { maxTokens: 16 })).tokens
      }
      const expected = await run()
      bench = { model, session, stillWorks: async () => expect(await run()).toEqual(expected) }
    })
    afterAll(async () => {
      if (!bench) return
      const { gpu: device } = await bench.model.engine()
      expect(device.uncapturedErrors, 'validation errors').toEqual([])
      bench.model.dispose()
      expect(bench.model.gpuBytes).toBe(0)
    })
    body(() => bench, gpu)
  })
}
