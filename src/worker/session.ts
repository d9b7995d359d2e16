import { SkipstoneError } from '../errors.js'
import type { TraceFile } from '../runtime/trace.js'
import type { ChatOptions, GenerateOptions, PromptStep, Step } from '../sdk/options.js'
import type { PolicyRequest } from '../sdk/policies.js'
import type { Session, SessionStats } from '../sdk/session-api.js'
import { busy, checkRewind, policyRequest, type SessionParts, sessionDisposed } from '../sdk/session-request.js'
import { SessionState } from '../sdk/session-state.js'
import type { ChatMessage } from '../text/chat-template.js'
import type { Channel } from './channel.js'
import type { CloneArgs, GenerateArgs, PolicyArgs } from './protocol.js'

/** What a session needs of its model on the page. */
export interface SessionOwner {
  readonly channel: Channel
  readonly hasRouters: boolean
  /** Another session, which the worker makes as `open` says. */
  open(parts: SessionParts, from: SessionState, clone: (as: number) => CloneArgs): WorkerSession
  /** @throws `disposed`. */
  check(): void
}

/** A session whose engine is in a worker. What is read of it is kept here; the worker says what changes. */
export class WorkerSession implements Session {
  /** @internal */
  readonly state: SessionState
  #busy = false
  #disposed = false

  constructor(
    private readonly owner: SessionOwner,
    private readonly number: number,
    private parts: SessionParts,
    layers: number,
    private readonly onDispose: () => void,
    from?: SessionState,
  ) {
    this.state = new SessionState(layers, from)
  }

  get contextLength(): number {
    return this.parts.contextLength
  }

  get tokens(): readonly number[] {
    return this.state.tokens
  }

  async *generate(prompt: string | readonly number[], options: GenerateOptions = {}): AsyncGenerator<Step, void> {
    yield* this.#run({ prompt: typeof prompt === 'string' ? prompt : [...prompt] }, options)
  }

  async *chat(messages: readonly ChatMessage[], options: ChatOptions = {}): AsyncGenerator<Step, void> {
    yield* this.#run({ messages }, options)
  }

  async append(prompt: string | readonly number[], options: { signal?: AbortSignal } = {}): Promise<PromptStep> {
    // The prompt comes first, and nothing behind it is asked for.
    for await (const step of this.generate(prompt, { ...options, maxTokens: 1 }))
      if (step.kind === 'prompt') return step
    throw new SkipstoneError('internal', 'A generation ended before its prompt was read; please report this.')
  }

  clone(): WorkerSession {
    this.#check()
    if (this.#busy) throw busy()
    return this.owner.open(this.parts, this.state, (as) => ({ session: this.number, as }))
  }

  rewind(length: number): void {
    this.#check()
    if (this.#busy) throw busy()
    checkRewind(length)
    this.state.tokens.length = Math.min(this.state.tokens.length, length)
    this.state.trace.rewind(length)
    this.owner.channel.note('rewind', { session: this.number, length })
  }

  async usePolicy(policy: PolicyRequest | string, options: { signal?: AbortSignal } = {}): Promise<void> {
    this.#check()
    const request = policyRequest(policy, this.owner)
    try {
      await this.owner.channel.call('policy', { session: this.number, request } satisfies PolicyArgs, options)
    } catch (error) {
      this.#check()
      throw error
    }
    this.parts = { ...this.parts, request }
  }

  stats(): SessionStats {
    return this.state.stats()
  }

  trace(): TraceFile {
    return this.state.file()
  }

  dispose(): void {
    if (this.#disposed) return
    this.#disposed = true
    this.owner.channel.note('close', { session: this.number })
    this.onDispose()
  }

  [Symbol.dispose](): void {
    this.dispose()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.dispose()
  }

  async *#run(input: GenerateArgs['input'], options: ChatOptions): AsyncGenerator<Step, void> {
    this.#check()
    if (this.#busy) throw busy()
    this.#busy = true
    try {
      const { signal, ...rest } = options
      const args: GenerateArgs = { session: this.number, input, options: rest }
      yield* this.owner.channel.stream<Step>('generate', args, signal)
    } catch (error) {
      this.#check()
      throw error
    } finally {
      this.#busy = false
    }
  }

  #check(): void {
    this.owner.check()
    if (this.#disposed) throw sessionDisposed()
  }
}
