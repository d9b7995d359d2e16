import type { PromptStep, Step, TokenLogprobs } from '../options.js'
import type { Session } from '../session-api.js'
import type { Wanted } from './request.js'
import type { FinishReason, Usage } from './types.js'

/** A piece of an answer. */
export interface Piece<Entry> {
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

/** A generation's steps as pieces, as far as `done` lets them come; `entryOf` says what a request calls the probability of a token. */
export async function* answer<Entry>(
  session: Session,
  steps: AsyncGenerator<Step, void>,
  entryOf: (logprobs: TokenLogprobs) => Entry,
  { echo, done }: { echo?: Echo<Entry> | undefined; done?: () => boolean } = {},
): AsyncGenerator<Piece<Entry>, void> {
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
    return { text, entries: [], last: { finishReason, usage, surplus: Math.max(0, told - tokens) } }
  }
  for await (const step of steps) {
    if (step.kind === 'prompt') {
      // Later ones read again what is left where the context slid.
      if (prompt.all > 0) continue
      prompt = { cached: step.position, all: step.position + step.tokens.length }
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
    if (step.text || entries.length > 0) yield { text: step.text, entries }
    if (!done?.()) continue
    yield end('', 'stop', tokens)
    return
  }
}

function skipOf(session: Session): Usage['skip'] {
  const { attention, mlp, total } = session.stats().skip
  return { attention, mlp, total }
}

/** The whole answer, and its last piece. */
export async function gather<P extends Piece<unknown>>(pieces: AsyncIterable<P>) {
  let text = ''
  const entries: P['entries'][number][] = []
  for await (const piece of pieces) {
    text += piece.text
    entries.push(...piece.entries)
    const { last } = piece
    if (last) return { text, entries: entries.slice(0, entries.length - last.surplus), end: { ...piece, last } }
  }
  throw new Error('a generation ended without its last step')
}

/** What every body of a response begins with. */
export function head<Kind extends string>(prefix: string, object: Kind, { model }: Wanted<unknown>) {
  return { id: `${prefix}-${crypto.randomUUID()}`, object, created: Math.floor(Date.now() / 1000), model }
}
