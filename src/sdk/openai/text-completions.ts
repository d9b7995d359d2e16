import type { PromptStep } from '../options.js'
import type { Session } from '../session-api.js'
import { answer, type Echo, gather, head, type Piece, total } from './answer.js'
import type { CallOptions } from './completions.js'
import { type CompletionHost, Conversations } from './conversations.js'
import { seeded, type TextWanted, textWanted } from './request.js'
import type { AnswerOf } from './several.js'
import { TextEntries, type TextEntry, textLogprobs } from './text-logprobs.js'
import type { TextCompletion, TextPrompt, TextRequest, Usage } from './types.js'

/** `model.completions`: OpenAI's text completions on a loaded model. */
export class TextCompletions {
  readonly #conversations: Conversations

  constructor(private readonly host: CompletionHost) {
    this.#conversations = new Conversations(host)
  }

  /**
   * Continues prompts: text, or token ids taken as they are. As `ChatCompletions.create`; a prompt is processed from its beginning. Several prompts,
   * and several answers to one, are generated together. With `echo` the answer begins with the prompt, and `max_tokens: 0` then asks for nothing else: with `logprobs`, how probable a text is.
   */
  create(request: TextRequest & { stream: true }, options?: CallOptions): Promise<AsyncIterable<TextCompletion>>
  create(request: TextRequest & { stream?: false | null }, options?: CallOptions): Promise<TextCompletion>
  create(request: TextRequest, options?: CallOptions): Promise<TextCompletion | AsyncIterable<TextCompletion>>
  async create(
    request: TextRequest,
    options: CallOptions = {},
  ): Promise<TextCompletion | AsyncIterable<TextCompletion>> {
    const wanted = textWanted(request)
    const more = wanted.input.length * wanted.n > 1 ? await import('./several.js') : undefined
    const pieces = this.#conversations.lend(wanted.policy, (session) =>
      more ? this.#several(more, session, wanted, options) : this.#answer(wanted, options, 0)(session, 0),
    )
    return wanted.stream ? textChunks(pieces, wanted) : wholeText(pieces, wanted)
  }

  /** Answers to the prompt of which answer `first` is the first. */
  #answer(wanted: TextWanted, call: CallOptions, first: number): AnswerOf<Piece<TextEntry>> {
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

  async *#several(
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
          this.#answer(wanted, call, first),
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
