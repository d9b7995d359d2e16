import type { PromptStep } from '../options.js'
import { answer, type Echo, gather, head, type Piece } from './answer.js'
import type { CallOptions } from './completions.js'
import { type CompletionHost, Conversations } from './conversations.js'
import { type TextWanted, textWanted } from './request.js'
import { TextEntries, type TextEntry, textLogprobs } from './text-logprobs.js'
import type { TextCompletion, TextRequest } from './types.js'

/** `model.completions`: OpenAI's text completions on a loaded model. */
export class TextCompletions {
  readonly #conversations: Conversations

  constructor(private readonly host: CompletionHost) {
    this.#conversations = new Conversations(host)
  }

  /**
   * Continues a prompt: text, or token ids taken as they are. As `ChatCompletions.create`; the prompt is processed from its beginning. With
   * `echo` the answer begins with the prompt, and `max_tokens: 0` then asks for nothing else: with `logprobs`, how probable a text is.
   */
  create(request: TextRequest & { stream: true }, options?: CallOptions): Promise<AsyncIterable<TextCompletion>>
  create(request: TextRequest & { stream?: false | null }, options?: CallOptions): Promise<TextCompletion>
  create(request: TextRequest, options?: CallOptions): Promise<TextCompletion | AsyncIterable<TextCompletion>>
  async create(
    request: TextRequest,
    options: CallOptions = {},
  ): Promise<TextCompletion | AsyncIterable<TextCompletion>> {
    const wanted = textWanted(request)
    const pieces = this.#conversations.lend(wanted.policy, (session) => {
      session.rewind(0)
      const entries = new TextEntries()
      const steps = session.generate(wanted.input, { ...wanted.options, ...options })
      return answer(session, steps, entries.next, { echo: wanted.echo && this.#echo(wanted, entries) })
    })
    return wanted.stream ? textChunks(pieces, wanted) : wholeText(pieces, wanted)
  }

  #echo({ input, echo }: TextWanted, entries: TextEntries): Echo<TextEntry> {
    const { text: model } = this.host
    return {
      alone: echo === 'alone',
      piece: async (step: PromptStep) => {
        const text = typeof input === 'string' ? input : await model.decode(input)
        return { text, entries: await entries.ofPrompt(step, text, model) }
      },
    }
  }
}

async function wholeText(pieces: AsyncIterable<Piece<TextEntry>>, wanted: TextWanted): Promise<TextCompletion> {
  const { text, entries, end } = await gather(pieces)
  const logprobs = wanted.options.logprobs === undefined ? null : textLogprobs(entries)
  const { finishReason, usage } = end.last
  return {
    ...head('cmpl', 'text_completion', wanted),
    choices: [{ index: 0, text, logprobs, finish_reason: finishReason }],
    usage,
  }
}

async function* textChunks(
  pieces: AsyncIterable<Piece<TextEntry>>,
  wanted: TextWanted,
): AsyncGenerator<TextCompletion, void> {
  const body = head('cmpl', 'text_completion', wanted)
  const pending = wanted.includeUsage ? { usage: null } : {}
  for await (const { text, entries, last } of pieces) {
    const logprobs = entries.length > 0 ? textLogprobs(entries) : null
    yield { ...body, choices: [{ index: 0, text, logprobs, finish_reason: last?.finishReason ?? null }], ...pending }
    if (last && wanted.includeUsage) yield { ...body, choices: [], usage: last.usage }
  }
}
