import { SkipstoneError } from '../errors.js'
import type { Message } from './messages.js'
import type { Port } from './port.js'
import { fromWire, toWire } from './wire-error.js'

/** What a call is answered with: its arguments, the caller's signal, and a way to tell of progress. */
export interface Incoming {
  readonly args: unknown
  readonly signal: AbortSignal
  emit(value: unknown): void
}

/** Answers a call with a value; with an async generator, it is a stream. */
export type Answer = (incoming: Incoming) => unknown

export interface CallOptions {
  readonly signal?: AbortSignal | undefined
  readonly onEvent?: ((value: never) => void) | undefined
}

interface Outgoing {
  resolve(value: unknown): void
  reject(error: Error): void
  event(value: unknown): void
  readonly signal: AbortSignal | undefined
}

interface Running {
  readonly controller: AbortController
  stream?: AsyncGenerator<unknown, unknown>
}

/** Calls and streams over a port, in both directions. */
export class Channel {
  readonly #outgoing = new Map<number, Outgoing>()
  readonly #running = new Map<number, Running>()
  #last = 0
  #closed: Error | undefined

  /** `answers` may be added to until the first message is handled, which is never before this turn of the event loop is over. */
  constructor(
    private readonly port: Port,
    private readonly answers: Readonly<Record<string, Answer>>,
  ) {
    port.addEventListener('message', ({ data }) => this.#receive(data as Message))
    port.addEventListener('messageerror', () => {
      this.close(new SkipstoneError('internal', 'A message between page and worker could not be read.'))
    })
    port.start?.()
  }

  /** Calls the other end. An abort is passed on; the call then fails as the other end says. */
  async call<T>(method: string, args: unknown, options: CallOptions = {}): Promise<T> {
    const { signal, onEvent } = options
    let id = 0
    const abort = () => this.#post({ kind: 'abort', id })
    try {
      return await new Promise<T>((resolve, reject) => {
        const event = (value: unknown) => onEvent?.(value as never)
        id = this.#open(method, args, { resolve: resolve as (value: unknown) => void, reject, event, signal })
        signal?.addEventListener('abort', abort)
        if (signal?.aborted) abort()
      })
    } finally {
      signal?.removeEventListener('abort', abort)
    }
  }

  /** Reads a stream of the other end, one value at a time. */
  async *stream<T>(method: string, args: unknown, signal: AbortSignal | undefined): AsyncGenerator<T, void> {
    type Result = IteratorResult<T, void>
    let pending: { resolve(result: Result): void; reject(error: Error): void } | undefined
    let ended = false
    const id = this.#open(method, args, {
      resolve: () => {
        ended = true
        pending?.resolve({ done: true, value: undefined })
      },
      reject: (error) => {
        ended = true
        pending?.reject(error)
      },
      event: (value) => pending?.resolve({ done: false, value: value as T }),
      signal,
    })
    const ask = (kind: 'pull' | 'cancel') =>
      new Promise<Result>((resolve, reject) => {
        pending = { resolve, reject }
        if (this.#closed) reject(this.#closed)
        else this.#post({ kind, id })
      })
    const abort = () => this.#post({ kind: 'abort', id })
    signal?.addEventListener('abort', abort)
    if (signal?.aborted) abort()
    try {
      for (let result = await ask('pull'); !result.done; result = await ask('pull')) yield result.value
    } finally {
      signal?.removeEventListener('abort', abort)
      // It has stopped when it says so.
      if (!ended) await ask('cancel').catch(() => undefined)
    }
  }

  /** Whether a call or a stream is open here. */
  get isWaiting(): boolean {
    return this.#outgoing.size > 0
  }

  /** Tells the other end something; there is no answer, and no failure. */
  note(method: string, args: unknown): void {
    this.#post({ kind: 'note', method, args })
  }

  /** Every call that is open, and every later one, fails with `error`; what runs here is aborted. */
  close(error: Error): void {
    this.#closed ??= error
    for (const { reject } of this.#outgoing.values()) reject(this.#closed)
    this.#outgoing.clear()
    for (const { controller } of this.#running.values()) controller.abort()
  }

  #open(method: string, args: unknown, outgoing: Outgoing): number {
    if (this.#closed) throw this.#closed
    const id = ++this.#last
    this.#outgoing.set(id, outgoing)
    try {
      this.#post({ kind: 'call', id, method, args })
    } catch (cause) {
      this.#outgoing.delete(id)
      throw new SkipstoneError('bad-option', `This cannot be sent to a worker: ${String(cause)}`, { cause })
    }
    return id
  }

  #receive(message: Message): void {
    if (this.#closed) return
    switch (message.kind) {
      case 'call':
        void this.#answer(message.id, message.method, message.args)
        return
      case 'note':
        this.#note(message.method, message.args)
        return
      case 'pull':
        void this.#advance(message.id)
        return
      case 'cancel':
        void this.#cancel(message.id)
        return
      case 'abort':
        this.#running.get(message.id)?.controller.abort()
        return
      case 'event':
        this.#outgoing.get(message.id)?.event(message.value)
        return
      default: {
        const outgoing = this.#outgoing.get(message.id)
        this.#outgoing.delete(message.id)
        if (message.kind === 'result') outgoing?.resolve(message.value)
        else outgoing?.reject(this.#error(message.error, outgoing.signal))
      }
    }
  }

  #error(wire: Parameters<typeof fromWire>[0], signal: AbortSignal | undefined): Error {
    return wire.code === 'aborted' && signal?.aborted ? fromWire(wire, signal.reason) : fromWire(wire)
  }

  /** A note about what is gone, such as a session of a model that was disposed of, is no news. */
  #note(method: string, args: unknown): void {
    try {
      this.answers[method]?.({ args, signal: NEVER, emit: () => undefined })
    } catch (error) {
      if (!(error instanceof SkipstoneError && error.code === 'disposed')) throw error
    }
  }

  async #answer(id: number, method: string, args: unknown): Promise<void> {
    const running: Running = { controller: new AbortController() }
    this.#running.set(id, running)
    try {
      const answer = this.answers[method]
      if (!answer) throw new SkipstoneError('internal', `Page and worker are of different versions: no "${method}".`)
      const emit = (value: unknown) => this.#post({ kind: 'event', id, value })
      const value = answer({ args, signal: running.controller.signal, emit })
      if (isStream(value)) running.stream = value
      else this.#end({ kind: 'result', id, value: await value })
    } catch (error) {
      this.#end({ kind: 'error', id, error: toWire(error) })
    }
  }

  async #advance(id: number): Promise<void> {
    const stream = this.#running.get(id)?.stream
    if (!stream) return
    try {
      const { done, value } = await stream.next()
      if (done) this.#end({ kind: 'result', id, value: undefined })
      else this.#post({ kind: 'event', id, value })
    } catch (error) {
      this.#end({ kind: 'error', id, error: toWire(error) })
    }
  }

  async #cancel(id: number): Promise<void> {
    const stream = this.#running.get(id)?.stream
    if (!stream) return
    try {
      await stream.return(undefined)
      this.#end({ kind: 'result', id, value: undefined })
    } catch (error) {
      this.#end({ kind: 'error', id, error: toWire(error) })
    }
  }

  #end(message: Extract<Message, { kind: 'result' | 'error' }>): void {
    // A stream that was cancelled while it was asked for its last value ends once.
    if (this.#running.delete(message.id)) this.#post(message)
  }

  #post(message: Message): void {
    if (!this.#closed) this.port.postMessage(message)
  }
}

const NEVER = new AbortController().signal

function isStream(value: unknown): value is AsyncGenerator<unknown, unknown> {
  return typeof value === 'object' && value !== null && Symbol.asyncIterator in value
}
