import type { CallOptions } from './completions.js'
import { type CompletionHost, Conversations } from './conversations.js'
import { textWanted } from './request.js'
import type { TextCompletion, TextRequest } from './types.js'

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
    const { textAnswers } = await import('./text-answers.js')
    return textAnswers(this.host, this.#conversations, wanted, options)
  }
}
