import type { ChatMessage } from '../../text/chat-template.js'
import type { Model } from '../model-api.js'
import { fromNextUser } from '../overflow.js'
import type { Session } from '../session-api.js'
import { chatMessages, type PromptInput } from './messages.js'

interface Parts {
  readonly model: Model
  readonly session: Session
  readonly initial: readonly ChatMessage[]
  readonly messages: readonly ChatMessage[]
  readonly sampling: { temperature?: number; topK?: number }
}

export interface PromptOptions {
  signal?: AbortSignal
}

/**
 * A session of the Prompt API. Where a prompt does not fit behind what was said, the oldest messages but the initial ones are dropped
 * and `contextoverflow` (formerly `quotaoverflow`) is dispatched; where it cannot fit at all, the call fails with a `QuotaExceededError`.
 * Calls wait for each other. An abort rejects with the signal's reason and leaves the conversation as it was.
 */
export class PromptSession extends EventTarget {
  readonly temperature: number
  readonly topK: number
  oncontextoverflow: ((event: Event) => void) | null = null
  onquotaoverflow: ((event: Event) => void) | null = null
  #messages: readonly ChatMessage[]
  #used = 0
  #last: Promise<unknown> = Promise.resolve()

  private constructor(private readonly parts: Parts) {
    super()
    const { generation } = parts.model
    this.temperature = parts.sampling.temperature ?? generation.temperature ?? 1
    this.topK = parts.sampling.topK ?? generation.topK ?? 0
    this.#messages = parts.messages
  }

  /** @internal Use `languageModel(model).create`. */
  static async open(parts: Parts): Promise<PromptSession> {
    const session = new PromptSession(parts)
    session.#used = await session.#count([...parts.initial, ...parts.messages])
    return session
  }

  /** The whole answer. */
  async prompt(input: PromptInput, options: PromptOptions = {}): Promise<string> {
    let text = ''
    for await (const piece of this.#answer(input, options)) text += piece
    return text
  }

  /** The answer in pieces as they come. Cancelling the stream ends it. */
  promptStreaming(input: PromptInput, options: PromptOptions = {}): ReadableStream<string> {
    const pieces = this.#answer(input, options)
    return new ReadableStream<string>({
      async pull(controller) {
        const { done, value } = await pieces.next()
        if (done) controller.close()
        else controller.enqueue(value)
      },
      async cancel() {
        await pieces.return(undefined)
      },
    })
  }

  /** Adds to the conversation without asking for an answer. */
  async append(input: PromptInput, options: PromptOptions = {}): Promise<undefined> {
    const added = chatMessages(input)
    await this.#inTurn(options.signal, async () => {
      this.#messages = await this.#fitting(added)
      this.#used = await this.#count([...this.parts.initial, ...this.#messages])
    })
  }

  /** Tokens that a prompt would take. */
  async measureContextUsage(input: PromptInput, options: PromptOptions = {}): Promise<number> {
    options.signal?.throwIfAborted()
    const before = [...this.parts.initial, ...this.#messages]
    return (await this.#count([...before, ...chatMessages(input)])) - (await this.#count(before))
  }

  /** The former name of `measureContextUsage`. */
  measureInputUsage(input: PromptInput, options: PromptOptions = {}): Promise<number> {
    return this.measureContextUsage(input, options)
  }

  /** Tokens of the conversation. */
  get contextUsage(): number {
    return this.#used
  }

  /** Tokens that a conversation can have. */
  get contextWindow(): number {
    return this.parts.session.contextLength
  }

  /** The former name of `contextUsage`. */
  get inputUsage(): number {
    return this.contextUsage
  }

  /** The former name of `contextWindow`. */
  get inputQuota(): number {
    return this.contextWindow
  }

  /** Another session that goes on from here. */
  async clone(options: PromptOptions = {}): Promise<PromptSession> {
    return this.#inTurn(options.signal, async () =>
      PromptSession.open({ ...this.parts, session: this.parts.session.clone(), messages: this.#messages }),
    )
  }

  /** Frees the session; calls on it fail from now on. */
  destroy(): void {
    this.parts.session.dispose()
  }

  [Symbol.dispose](): void {
    this.destroy()
  }

  async *#answer(input: PromptInput, { signal }: PromptOptions): AsyncGenerator<string, void, undefined> {
    const asked = chatMessages(input)
    const turn = await this.#turn(signal)
    const { initial, session, sampling } = this.parts
    try {
      const messages = await this.#fitting(asked)
      let answer = ''
      for await (const step of session.chat([...initial, ...messages], { ...sampling, ...(signal && { signal }) })) {
        answer += step.text
        if (step.text) yield step.text
      }
      this.#messages = [...messages, { role: 'assistant', content: answer }]
      // An answer that filled the context left no room for what the template writes behind it.
      this.#used = Math.min(await this.#count([...initial, ...this.#messages]), this.contextWindow)
    } catch (error) {
      signal?.throwIfAborted()
      throw error
    } finally {
      turn.end()
    }
  }

  /** The messages with `added`, without those that have to go so that a token of an answer fits. */
  async #fitting(added: readonly ChatMessage[]): Promise<readonly ChatMessage[]> {
    let kept = this.#messages
    while ((await this.#count([...this.parts.initial, ...kept, ...added])) >= this.contextWindow) {
      if (kept.length === 0) {
        throw new DOMException(
          `The prompt does not fit into the ${this.contextWindow} tokens of the context: shorten it.`,
          'QuotaExceededError',
        )
      }
      kept = fromNextUser(kept)
    }
    if (kept.length < this.#messages.length) this.#overflowed()
    return [...kept, ...added]
  }

  #overflowed(): void {
    for (const name of ['contextoverflow', 'quotaoverflow'] as const) {
      const event = new Event(name)
      this.dispatchEvent(event)
      this[`on${name}`]?.(event)
    }
  }

  async #count(messages: readonly ChatMessage[]): Promise<number> {
    if (messages.length === 0) return 0
    const { text } = this.parts.model
    return (await text.encode(await text.render(messages), { addSpecialTokens: false })).length
  }

  async #inTurn<T>(signal: AbortSignal | undefined, work: () => Promise<T>): Promise<T> {
    const turn = await this.#turn(signal)
    try {
      return await work()
    } finally {
      turn.end()
    }
  }

  /** Waits for the calls before; those behind wait until `end`. */
  async #turn(signal: AbortSignal | undefined): Promise<{ end: () => void }> {
    signal?.throwIfAborted()
    const before = this.#last
    let end = () => {}
    this.#last = new Promise<void>((resolve) => {
      end = resolve
    })
    await before
    if (signal?.aborted) {
      end()
      signal.throwIfAborted()
    }
    return { end }
  }
}
