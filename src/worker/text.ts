import type { ModelText } from '../sdk/text-api.js'
import type { ChatMessage, RenderOptions } from '../text/chat-template.js'
import type { TokenPiece } from '../text/token-pieces.js'
import type { Channel } from './channel.js'

/** A model's tokenizer and template, in its worker. */
export class WorkerText implements ModelText {
  constructor(
    private readonly channel: Channel,
    private readonly model: number,
    private readonly check: () => void,
  ) {}

  async encode(text: string, options?: { addSpecialTokens?: boolean }): Promise<number[]> {
    return this.#call('encode', { text, options })
  }

  async decode(ids: readonly number[], options?: { skipSpecialTokens?: boolean }): Promise<string> {
    return this.#call('decode', { ids, options })
  }

  async pieces(ids: readonly number[], before?: readonly number[]): Promise<TokenPiece[]> {
    return this.#call('pieces', { ids, before })
  }

  async render(messages: readonly ChatMessage[], options?: RenderOptions): Promise<string> {
    return this.#call('render', { messages, options })
  }

  async chatTemplate(options?: { tools?: boolean }): Promise<string | undefined> {
    return this.#call('template', { options })
  }

  #call<T>(method: string, args: object): Promise<T> {
    this.check()
    return this.channel.call<T>(method, { model: this.model, ...args })
  }
}
