import { SkipstoneError } from '../errors.js'
import type { Engine } from '../runtime/engine.js'
import { generateTokens } from '../runtime/generate.js'
import { GREEDY } from '../runtime/sampling.js'
import { Sequence } from '../runtime/sequence.js'
import type { SkipPolicy } from '../skip/policy.js'

/** The prompts of a conversation's stages, as ids; each follows on the answer of the stage before. */
export type StagePrompts = readonly (readonly number[])[]

/** LiteStage's early stop: a stage ends where the mean of the last `window` tokens' highest probabilities is at or below `threshold`. */
export interface ConfidenceExit {
  readonly window: number
  readonly threshold: number
}

export interface StagedOptions {
  readonly contextLength: number
  readonly stopIds: readonly number[]
  /** Of an answer. */
  readonly maxTokens: number
  readonly exit?: ConfidenceExit | undefined
  readonly signal?: AbortSignal | undefined
}

export interface StageAnswer {
  readonly tokens: readonly number[]
  readonly ms: number
}

/**
 * Answers the stages of a conversation one after the other, greedily, each under its policy. The text so far is read again in each stage, as the
 * set of sublayers that leave keys and values is another one.
 * @throws `bad-option` where there are not as many policies as stages, `context-full`, `aborted`.
 */
export async function answerStages(
  engine: Engine,
  prompts: StagePrompts,
  policies: readonly SkipPolicy[],
  options: StagedOptions,
): Promise<StageAnswer[]> {
  checkStages(prompts, policies.length)
  const answers: StageAnswer[] = []
  const ids: number[] = []
  for (const [stage, prompt] of prompts.entries()) {
    ids.push(...prompt)
    const sequence = new Sequence(engine, policies[stage] as SkipPolicy, { contextLength: options.contextLength })
    try {
      await sequence.prepare('all')
      const started = performance.now()
      const tokens = await answer(sequence, ids, options)
      answers.push({ tokens, ms: performance.now() - started })
      ids.push(...tokens)
    } finally {
      sequence.destroy()
    }
  }
  return answers
}

/** @throws `bad-option` for a conversation that does not have these stages. */
export function checkStages(prompts: StagePrompts, stages: number): void {
  if (prompts.length === stages) return
  throw new SkipstoneError(
    'bad-option',
    `A conversation has ${prompts.length} stages where there are ${stages} budgets: give each stage a prompt and a budget.`,
  )
}

async function answer(sequence: Sequence, ids: readonly number[], o: StagedOptions): Promise<number[]> {
  const { contextLength, maxTokens, stopIds, exit, signal } = o
  const tokens: number[] = []
  const confidences: number[] = []
  const sampling = { ...GREEDY, stopIds: [...stopIds] }
  const logprobs = exit ? 1 : undefined
  for await (const event of generateTokens(sequence, ids, {
    sampling,
    maxTokens,
    contextLength,
    seen: [],
    logprobs,
    signal,
  })) {
    if (event.kind !== 'token') continue
    tokens.push(event.token)
    const [best] = event.logprobs?.top ?? []
    if (!exit || !best) continue
    confidences.push(Math.exp(best.logprob))
    if (rambles(confidences, exit)) break
  }
  return tokens
}

/** Whether the last probabilities are as low on average as the exit says; not before there are enough of them. */
export function rambles(confidences: readonly number[], { window, threshold }: ConfidenceExit): boolean {
  if (confidences.length < window) return false
  return confidences.slice(-window).reduce((sum, one) => sum + one, 0) / window <= threshold
}
