import { answer, gather, head, type Piece } from './answer.js'
import { type CompletionHost, Conversations } from './conversations.js'
import { chatLogprob } from './logprobs.js'
import { chatWanted, hasTools, type Wanted } from './request.js'
import type { ToolCallReader } from './tools/reader.js'
import type { ToolsWanted } from './tools/request.js'
import type {
  ChatCompletion,
  ChatCompletionChunk,
  ChatDelta,
  ChatLogprobEntry,
  ChatLogprobs,
  ChatRequest,
  FinishReason,
  ToolCall,
} from './types.js'

export interface CallOptions {
  signal?: AbortSignal
}

type ChatPiece = Piece<ChatLogprobEntry> & { readonly calls?: readonly ToolCall[] }

/** `model.chat.completions`: OpenAI's chat completions on a loaded model. */
export class ChatCompletions {
  readonly #conversations: Conversations

  constructor(private readonly host: CompletionHost) {
    this.#conversations = new Conversations(host)
  }

  /**
   * Answers a chat: the whole answer, or with `stream: true` its pieces as they come. What the messages share with those of the
   * last call is not processed again.
   * @throws `bad-option`, `unsupported`, and as `Session.chat`; a stream throws what happens after its start while it is read.
   */
  create(request: ChatRequest & { stream: true }, options?: CallOptions): Promise<AsyncIterable<ChatCompletionChunk>>
  create(request: ChatRequest & { stream?: false | null }, options?: CallOptions): Promise<ChatCompletion>
  create(request: ChatRequest, options?: CallOptions): Promise<ChatCompletion | AsyncIterable<ChatCompletionChunk>>
  async create(
    request: ChatRequest,
    options: CallOptions = {},
  ): Promise<ChatCompletion | AsyncIterable<ChatCompletionChunk>> {
    const wanted = chatWanted(request)
    const tools = hasTools(request) ? await this.#tools(request) : undefined
    const reader = tools?.reader
    const answered = this.#conversations.lend(wanted.policy, (session) => {
      const steps = session.chat(wanted.input, { ...wanted.options, ...tools?.options, ...options })
      // What was read of a piece is known when the next one is asked for.
      return answer(session, steps, chatLogprob, { done: () => reader?.done === true })
    })
    const pieces = reader ? withCalls(answered, reader) : answered
    return wanted.stream ? chatChunks(pieces, wanted) : wholeChat(pieces, wanted)
  }

  /** Who sends no tools does not load the code for them. */
  async #tools(request: ChatRequest): Promise<ToolsWanted | undefined> {
    const { toolsWanted } = await import('./tools/request.js')
    return toolsWanted(request, this.host.text)
  }
}

/** The pieces, with calls of tools told from text. */
async function* withCalls(pieces: AsyncIterable<ChatPiece>, reader: ToolCallReader): AsyncGenerator<ChatPiece, void> {
  for await (const piece of pieces) {
    const text = reader.push(piece.text)
    if (!piece.last) {
      yield { ...piece, text }
      continue
    }
    const { text: rest, calls } = reader.end()
    const finishReason = calls.length > 0 ? 'tool_calls' : piece.last.finishReason
    yield { ...piece, text: text + rest, last: { ...piece.last, finishReason }, calls }
  }
}

async function wholeChat(pieces: AsyncIterable<ChatPiece>, wanted: Wanted<unknown>): Promise<ChatCompletion> {
  const { text, end, entries } = await gather(pieces)
  const { calls = [] } = end
  const { finishReason, usage } = end.last
  const logprobs = wanted.options.logprobs === undefined ? null : { content: entries, refusal: null }
  const called = calls.length > 0
  const content = called && text === '' ? null : text
  const message = { role: 'assistant' as const, content, refusal: null, ...(called && { tool_calls: [...calls] }) }
  return {
    ...head('chatcmpl', 'chat.completion', wanted),
    choices: [{ index: 0, message, logprobs, finish_reason: finishReason }],
    usage,
  }
}

async function* chatChunks(
  pieces: AsyncIterable<ChatPiece>,
  wanted: Wanted<unknown>,
): AsyncGenerator<ChatCompletionChunk, void> {
  const body = head('chatcmpl', 'chat.completion.chunk', wanted)
  const pending = wanted.includeUsage ? { usage: null } : {}
  const chunk = (
    delta: ChatDelta,
    reason: FinishReason | null = null,
    logprobs: ChatLogprobs | null = null,
  ): ChatCompletionChunk => ({
    ...body,
    choices: [{ index: 0, delta, logprobs, finish_reason: reason }],
    ...pending,
  })
  let begun = false
  for await (const piece of pieces) {
    // Not before the prompt was accepted: what is wrong with it is no part of an answer.
    if (!begun) yield chunk({ role: 'assistant', content: '' })
    begun = true
    const { text, entries, last, calls = [] } = piece
    const logprobs = entries.length > 0 ? { content: [...entries], refusal: null } : null
    if (text || logprobs) yield chunk({ content: text }, null, logprobs)
    if (!last) continue
    for (const [index, call] of calls.entries()) yield chunk({ tool_calls: [{ index, ...call }] })
    yield chunk({}, last.finishReason)
    if (wanted.includeUsage) yield { ...body, choices: [], usage: last.usage }
  }
}
