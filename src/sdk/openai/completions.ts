import type { Step } from '../options.js'
import type { Session } from '../session-api.js'
import { type CompletionHost, Conversations } from './conversations.js'
import { chatLogprob } from './logprobs.js'
import { chatWanted, hasTools, textWanted, type Wanted } from './request.js'
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
  TextCompletion,
  TextRequest,
  ToolCall,
  Usage,
} from './types.js'

export interface CallOptions {
  signal?: AbortSignal
}

/** A piece of an answer, or its end. */
type Piece = { text: string; logprob: ChatLogprobEntry | undefined } | LastPiece

interface LastPiece {
  text: string
  finishReason: FinishReason
  usage: Usage
  calls?: ToolCall[]
}

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
    const format = tools?.format && { format: tools.format }
    const answered = this.#conversations.lend(wanted.policy, (session) =>
      answer(session, session.chat(wanted.input, { ...wanted.options, ...format, ...options, tools: tools?.tools })),
    )
    const pieces = tools ? withCalls(answered, tools.reader()) : answered
    return wanted.stream ? chatChunks(pieces, wanted) : wholeChat(pieces, wanted)
  }

  /** Who sends no tools does not load the code for them. */
  async #tools(request: ChatRequest): Promise<ToolsWanted | undefined> {
    const { toolsWanted } = await import('./tools/request.js')
    return toolsWanted(request, this.host.text)
  }
}

/** `model.completions`: OpenAI's text completions on a loaded model. */
export class TextCompletions {
  readonly #conversations: Conversations

  constructor(host: CompletionHost) {
    this.#conversations = new Conversations(host)
  }

  /** Continues a prompt. As `ChatCompletions.create`; the prompt is processed from its beginning. */
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
      return answer(session, session.generate(wanted.input, { ...wanted.options, ...options }))
    })
    return wanted.stream ? textChunks(pieces, wanted) : wholeText(pieces, wanted)
  }
}

async function* answer(session: Session, steps: AsyncGenerator<Step, void>): AsyncGenerator<Piece, void> {
  let prompt = { cached: 0, all: 0 }
  for await (const step of steps) {
    if (step.kind === 'prompt') {
      // Later ones read again what is left where the context slid.
      if (prompt.all === 0) prompt = { cached: step.position, all: step.position + step.tokens.length }
    } else if (step.kind === 'token') {
      const logprob = step.logprobs && chatLogprob(step.logprobs)
      if (step.text || logprob) yield { text: step.text, logprob }
    } else {
      const { attention, mlp, total } = session.stats().skip
      const usage = {
        prompt_tokens: prompt.all,
        completion_tokens: step.tokens.length,
        total_tokens: prompt.all + step.tokens.length,
        prompt_tokens_details: { cached_tokens: prompt.cached },
        skip: { attention, mlp, total },
      }
      yield { text: step.text, finishReason: step.finishReason, usage }
    }
  }
}

/** The pieces, with calls of tools told from text. */
async function* withCalls(pieces: AsyncIterable<Piece>, reader: ToolCallReader): AsyncGenerator<Piece, void> {
  for await (const piece of pieces) {
    const text = reader.push(piece.text)
    if (!('usage' in piece)) {
      yield { ...piece, text }
      continue
    }
    const { text: rest, calls } = reader.end()
    const finishReason = calls.length > 0 ? 'tool_calls' : piece.finishReason
    yield { ...piece, text: text + rest, finishReason, calls }
  }
}

async function gather(pieces: AsyncIterable<Piece>) {
  let content = ''
  const entries: ChatLogprobEntry[] = []
  for await (const piece of pieces) {
    content += piece.text
    if ('usage' in piece) {
      const { finishReason, usage, calls = [] } = piece
      // A stop string takes tokens back.
      return { content, finishReason, usage, calls, entries: entries.slice(0, usage.completion_tokens) }
    }
    if (piece.logprob) entries.push(piece.logprob)
  }
  throw new Error('a generation ended without its last step')
}

async function wholeChat(pieces: AsyncIterable<Piece>, wanted: Wanted<unknown>): Promise<ChatCompletion> {
  const { content: text, finishReason, usage, calls, entries } = await gather(pieces)
  const logprobs = wanted.options.logprobs === undefined ? null : { content: entries, refusal: null }
  const called = calls.length > 0
  const content = called && text.trim() === '' ? null : text
  const message = { role: 'assistant' as const, content, refusal: null, ...(called && { tool_calls: calls }) }
  return {
    ...head('chatcmpl', 'chat.completion', wanted),
    choices: [{ index: 0, message, logprobs, finish_reason: finishReason }],
    usage,
  }
}

async function wholeText(pieces: AsyncIterable<Piece>, wanted: Wanted<unknown>): Promise<TextCompletion> {
  const { content, finishReason, usage } = await gather(pieces)
  return {
    ...head('cmpl', 'text_completion', wanted),
    choices: [{ index: 0, text: content, logprobs: null, finish_reason: finishReason }],
    usage,
  }
}

async function* chatChunks(
  pieces: AsyncIterable<Piece>,
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
    const logprobs = 'logprob' in piece && piece.logprob ? { content: [piece.logprob], refusal: null } : null
    if (piece.text || logprobs) yield chunk({ content: piece.text }, null, logprobs)
    if (!('usage' in piece)) continue
    for (const [index, call] of (piece.calls ?? []).entries()) yield chunk({ tool_calls: [{ index, ...call }] })
    yield chunk({}, piece.finishReason)
    if (wanted.includeUsage) yield { ...body, choices: [], usage: piece.usage }
  }
}

async function* textChunks(
  pieces: AsyncIterable<Piece>,
  wanted: Wanted<unknown>,
): AsyncGenerator<TextCompletion, void> {
  const body = head('cmpl', 'text_completion', wanted)
  const pending = wanted.includeUsage ? { usage: null } : {}
  for await (const piece of pieces) {
    const reason = 'usage' in piece ? piece.finishReason : null
    yield { ...body, choices: [{ index: 0, text: piece.text, logprobs: null, finish_reason: reason }], ...pending }
    if ('usage' in piece && wanted.includeUsage) yield { ...body, choices: [], usage: piece.usage }
  }
}

function head<Kind extends string>(prefix: string, object: Kind, { model }: Wanted<unknown>) {
  return { id: `${prefix}-${crypto.randomUUID()}`, object, created: Math.floor(Date.now() / 1000), model }
}
