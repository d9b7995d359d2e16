import type { PromptStep, Step, TokenLogprobs } from '../options.js'
import type { Session } from '../session-api.js'
import type { Wanted } from './request.js'
import type { FinishReason, Usage } from './types.js'

/** A piece of an answer. */
export interface Piece<Entry> {
  /** Of which answer, where several were asked for. */
  readonly index: number
  readonly text: string
  /** Of the tokens that came with it, where probabilities were asked for. */
  readonly entries: readonly Entry[]
  /** Of the end alone. */
  readonly last?: Last
}

interface Last {
  readonly finishReason: FinishReason
  readonly usage: Usage
  /** How many of the last entries belong to tokens that a stop string took back. */
  readonly surplus: number
}

/** The prompt as the beginning of an answer. */
export interface Echo<Entry> {
  /** What stands for it. */
  piece(step: PromptStep): Promise<Piece<Entry>>
  /** Nothing comes behind it. */
  readonly alone: boolean
}

export interface AnswerParts<Entry> {
  readonly session: Session
  readonly steps: AsyncGenerator<Step, void>
  readonly index: number
  /** What a request calls the probability of a token. */
  readonly entryOf: (logprobs: TokenLogprobs) => Entry
  readonly echo?: Echo<Entry> | undefined
  /** The prompt, where it was read before. */
  readonly prompt?: PromptStep | undefined
  /** Whether nothing more is wanted. */
  readonly done?: (() => boolean) | undefined
}

/** A generation's steps as pieces, as far as `done` lets them come. */
export async function* answer<Entry>({
  session,
  steps,
  index,
  entryOf,
  echo,
  prompt: read,
  done,
}: AnswerParts<Entry>): AsyncGenerator<Piece<Entry>, void> {
  let prompt = { cached: 0, all: 0 }
  let told = 0
  let tokens = 0
  const end = (text: string, finishReason: FinishReason, tokens: number): Piece<Entry> => {
    const { cached, all } = prompt
    const usage = {
      prompt_tokens: all,
      completion_tokens: tokens,
      total_tokens: all + tokens,
      prompt_tokens_details: { cached_tokens: cached },
      skip: skipOf(session),
    }
    return { index, text, entries: [], last: { finishReason, usage, surplus: Math.max(0, told - tokens) } }
  }
  for await (const step of steps) {
    if (step.kind === 'prompt') {
      // Later ones read again what is left where the context slid.
      if (prompt.all > 0) continue
      prompt = { cached: (read ?? step).position, all: step.position + step.tokens.length }
      if (echo) yield await echo.piece(step)
      if (!echo?.alone) continue
      yield end('', 'length', 0)
      return
    }
    if (step.kind === 'end') {
      yield end(step.text, step.finishReason, step.tokens.length)
      continue
    }
    const entries = step.logprobs ? [entryOf(step.logprobs)] : []
    told += entries.length
    tokens++
    if (step.text || entries.length > 0) yield { index, text: step.text, entries }
    if (!done?.()) continue
    yield end('', 'stop', tokens)
    return
  }
}

function skipOf(session: Session): Usage['skip'] {
  const { attention, mlp, total } = session.stats().skip
  return { attention, mlp, total }
}

/** The whole answers, in order, with the last piece of each. */
export async function gather<P extends Piece<unknown>>(pieces: AsyncIterable<P>, count: number) {
  const open = Array.from({ length: count }, () => ({ text: '', entries: [] as P['entries'][number][] }))
  const answers: { text: string; entries: P['entries'][number][]; end: P & { last: Last } }[] = []
  for await (const piece of pieces) {
    const { index, last } = piece
    const so = open[index] as (typeof open)[number]
    so.text += piece.text
    so.entries.push(...piece.entries)
    if (last)
      answers[index] = {
        ...so,
        entries: so.entries.slice(0, so.entries.length - last.surplus),
        end: { ...piece, last },
      }
  }
  return answers
}

/** What the answers to a request took together; `n` of them share a prompt. */
export function total(usages: readonly Usage[], n: number): Usage {
  if (usages.length === 1) return usages[0] as Usage
  const sum = (value: (usage: Usage) => number, of = usages) => of.reduce((all, usage) => all + value(usage), 0)
  const prompts = usages.filter((_, index) => index % n === 0)
  const prompt = sum((usage) => usage.prompt_tokens, prompts)
  const completion = sum((usage) => usage.completion_tokens)
  const tokens = sum((usage) => usage.total_tokens)
  const skip = (kind: keyof Usage['skip']) => sum((usage) => usage.skip[kind] * usage.total_tokens) / tokens
  return {
    prompt_tokens: prompt,
    completion_tokens: completion,
    total_tokens: prompt + completion,
    prompt_tokens_details: { cached_tokens: sum((usage) => usage.prompt_tokens_details.cached_tokens, prompts) },
    skip: { attention: skip('attention'), mlp: skip('mlp'), total: skip('total') },
  }
}

/** What every body of a response begins with. */
export function head<Kind extends string>(prefix: string, object: Kind, { model }: Wanted<unknown>) {
  return { id: `${prefix}-${crypto.randomUUID()}`, object, created: Math.floor(Date.now() / 1000), model }
}
