import type { PromptStep } from '../options.js'
import type { Session } from '../session-api.js'
import { answer, type Echo, gather, head, type Piece, total } from './answer.js'
import type { CallOptions } from './completions.js'
import type { CompletionHost, Conversations } from './conversations.js'
import { seeded, type TextWanted } from './request.js'
import type { AnswerOf } from './several.js'
import { TextEntries, type TextEntry, textLogprobs } from './text-logprobs.js'
import type { TextCompletion, TextPrompt, Usage } from './types.js'

/** Answers to one request: text completions, whole or as a stream, in the words of OpenAI's API. */
export async function textAnswers(
  host: CompletionHost,
  conversations: Conversations,
  wanted: TextWanted,
  options: CallOptions,
): Promise<TextCompletion | AsyncIterable<TextCompletion>> {
  const more = wanted.input.length * wanted.n > 1 ? await import('./several.js') : undefined
  const answers = new TextAnswers(host)
  const pieces = conversations.lend(wanted.policy, (session) =>
    more ? answers.several(more, session, wanted, options) : answers.one(wanted, options, 0)(session, 0),
  )
  return wanted.stream ? textChunks(pieces, wanted) : wholeText(pieces, wanted)
}

class TextAnswers {
  constructor(private readonly host: CompletionHost) {}

  /** Answers to the prompt of which answer `first` is the first. */
  one(wanted: TextWanted, call: CallOptions, first: number): AnswerOf<Piece<TextEntry>> {
    const prompt = wanted.input[Math.floor(first / wanted.n)] as TextPrompt
    return (session, j, read) => {
      const index = first + j
      const options = { ...seeded(wanted, index % wanted.n), ...call }
      const entries = new TextEntries()
      // From the end of a prompt that was read, its last token is fed again: its result chooses the next.
      session.rewind(read ? read.position + read.tokens.length - 1 : 0)
      const steps = session.generate(read ? read.tokens.slice(-1) : prompt, options)
      const echo = wanted.echo && this.#echo(index, prompt, wanted.echo, entries)
      return answer({ session, steps, index, entryOf: entries.next, echo, prompt: read })
    }
  }

  async *several(
    { merged, several }: typeof import('./several.js'),
    session: Session,
    wanted: TextWanted,
    call: CallOptions,
  ): AsyncGenerator<Piece<TextEntry>, void> {
    const { input, n, echo, policy, options } = wanted
    // An echoed prompt is told of in each of its answers, and so read for each.
    const together = echo ? 1 : n
    const sessions = [session]
    try {
      while (sessions.length < (input.length * n) / together) sessions.push(this.host.createSession({ policy }))
      const parts = sessions.map((start, i) => {
        const first = i * together
        const prompt = input[Math.floor(first / n)] as TextPrompt
        start.rewind(0)
        return several(
          start,
          together,
          () => start.generate(prompt, { ...options, ...call }),
          this.one(wanted, call, first),
        )
      })
      yield* merged(parts)
    } finally {
      for (const one of sessions.slice(1)) one.dispose()
    }
  }

  #echo(
    index: number,
    prompt: TextPrompt,
    echo: NonNullable<TextWanted['echo']>,
    entries: TextEntries,
  ): Echo<TextEntry> {
    const { text: model } = this.host
    return {
      alone: echo === 'alone',
      piece: async (step: PromptStep) => {
        const text = typeof prompt === 'string' ? prompt : await model.decode(prompt)
        return { index, text, entries: await entries.ofPrompt(step, text, model) }
      },
    }
  }
}

async function wholeText(pieces: AsyncIterable<Piece<TextEntry>>, wanted: TextWanted): Promise<TextCompletion> {
  const answers = await gather(pieces, wanted.input.length * wanted.n)
  const choices = answers.map(({ text, entries, end }, index) => {
    const logprobs = wanted.options.logprobs === undefined ? null : textLogprobs(entries)
    return { index, text, logprobs, finish_reason: end.last.finishReason }
  })
  const usage = total(
    answers.map(({ end }) => end.last.usage),
    wanted.n,
  )
  return { ...head('cmpl', 'text_completion', wanted), choices, usage }
}

async function* textChunks(
  pieces: AsyncIterable<Piece<TextEntry>>,
  wanted: TextWanted,
): AsyncGenerator<TextCompletion, void> {
  const body = head('cmpl', 'text_completion', wanted)
  const pending = wanted.includeUsage ? { usage: null } : {}
  const usages: Usage[] = []
  for await (const { index, text, entries, last } of pieces) {
    const logprobs = entries.length > 0 ? textLogprobs(entries) : null
    yield { ...body, choices: [{ index, text, logprobs, finish_reason: last?.finishReason ?? null }], ...pending }
    if (last) usages[index] = last.usage
  }
  if (wanted.includeUsage) yield { ...body, choices: [], usage: total(usages, wanted.n) }
}
