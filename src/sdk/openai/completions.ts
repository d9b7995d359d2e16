import type { PromptStep } from '../options.js'
import type { Session } from '../session-api.js'
import { answer, gather, head, type Piece, total } from './answer.js'
import { type CompletionHost, Conversations } from './conversations.js'
import { chatLogprob } from './logprobs.js'
import { chatWanted, hasTools, seeded, type Wanted } from './request.js'
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
  Usage,
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
    const chat = (session: Session, index: number) =>
      session.chat(wanted.input, { ...seeded(wanted, index), ...tools?.options, ...options })
    const answerOf = (session: Session, index: number, prompt?: PromptStep) => {
      const reader = tools?.reader()
      // What was read of a piece is known when the next one is asked for.
      const done = () => reader?.done === true
      const answered = answer({ session, steps: chat(session, index), index, entryOf: chatLogprob, prompt, done })
      return reader ? withCalls(answered, reader) : answered
    }
    const more = wanted.n > 1 ? await import('./several.js') : undefined
    const pieces = this.#conversations.lend(wanted.policy, (session) =>
      more ? more.several<ChatPiece>(session, wanted.n, () => chat(session, 0), answerOf) : answerOf(session, 0),
    )
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
  const answers = await gather(pieces, wanted.n)
  const choices = answers.map(({ text, end, entries }, index) => {
    const { calls = [] } = end
    const logprobs = wanted.options.logprobs === undefined ? null : { content: entries, refusal: null }
    const called = calls.length > 0
    const content = called && text === '' ? null : text
    const message = { role: 'assistant' as const, content, refusal: null, ...(called && { tool_calls: [...calls] }) }
    return { index, message, logprobs, finish_reason: end.last.finishReason }
  })
  const usage = total(
    answers.map(({ end }) => end.last.usage),
    wanted.n,
  )
  return { ...head('chatcmpl', 'chat.completion', wanted), choices, usage }
}

async function* chatChunks(
  pieces: AsyncIterable<ChatPiece>,
  wanted: Wanted<unknown>,
): AsyncGenerator<ChatCompletionChunk, void> {
  const body = head('chatcmpl', 'chat.completion.chunk', wanted)
  const pending = wanted.includeUsage ? { usage: null } : {}
  const chunk = (
    index: number,
    delta: ChatDelta,
    reason: FinishReason | null = null,
    logprobs: ChatLogprobs | null = null,
  ): ChatCompletionChunk => ({
    ...body,
    choices: [{ index, delta, logprobs, finish_reason: reason }],
    ...pending,
  })
  const begun = new Set<number>()
  const usages: Usage[] = []
  for await (const piece of pieces) {
    const { index, text, entries, last, calls = [] } = piece
    // Not before the prompt was accepted: what is wrong with it is no part of an answer.
    if (!begun.has(index)) yield chunk(index, { role: 'assistant', content: '' })
    begun.add(index)
    const logprobs = entries.length > 0 ? { content: [...entries], refusal: null } : null
    if (text || logprobs) yield chunk(index, { content: text }, null, logprobs)
    if (!last) continue
    for (const [i, call] of calls.entries()) yield chunk(index, { tool_calls: [{ index: i, ...call }] })
    yield chunk(index, {}, last.finishReason)
    usages[index] = last.usage
  }
  if (wanted.includeUsage) yield { ...body, choices: [], usage: total(usages, wanted.n) }
}
