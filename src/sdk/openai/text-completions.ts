import type { GenerateOptions, PromptStep, Step } from '../options.js'
import type { Session } from '../session-api.js'
import { answer, type Echo, gather, head, type Piece, total } from './answer.js'
import type { CallOptions } from './completions.js'
import { type CompletionHost, Conversations } from './conversations.js'
import { seeded, type TextWanted, textWanted } from './request.js'
import { merged, several } from './several.js'
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
    const pieces = this.#conversations.lend(wanted.policy, (session) => this.#answers(session, wanted, options))
    return wanted.stream ? textChunks(pieces, wanted) : wholeText(pieces, wanted)
  }

  async *#answers(session: Session, wanted: TextWanted, call: CallOptions): AsyncGenerator<Piece<TextEntry>, void> {
    const { input, n, echo, policy } = wanted
    // An echoed prompt is told of in each of its answers, and so read for each.
    const starts = input.flatMap((prompt, i) =>
      echo
        ? Array.from({ length: n }, (_, j) => ({ prompt, first: i * n + j, count: 1 }))
        : [{ prompt, first: i * n, count: n }],
    )
    const more = starts.slice(1).map(() => this.host.createSession({ policy }))
    try {
      yield* merged(
        starts.map(({ prompt, first, count }, i) => {
          const start = i === 0 ? session : (more[i - 1] as Session)
          start.rewind(0)
          const options = (index: number) => ({ ...seeded(wanted, index % n), ...call })
          return several(
            start,
            count,
            () => start.generate(prompt, options(0)),
            (one, j, read) => {
              const entries = new TextEntries()
              const index = first + j
              const steps = read ? goOn(one, read, options(index)) : one.generate(prompt, options(index))
              const echoed = echo && this.#echo(index, prompt, echo, entries)
              return answer({ session: one, steps, index, entryOf: entries.next, echo: echoed, prompt: read })
            },
          )
        }),
      )
    } finally {
      for (const one of more) one.dispose()
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

/** From the end of a prompt that was read: its last token is fed again, and its result chooses the next. */
function goOn(
  session: Session,
  { position, tokens }: PromptStep,
  options: GenerateOptions,
): AsyncGenerator<Step, void> {
  session.rewind(position + tokens.length - 1)
  return session.generate(tokens.slice(-1), options)
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
