import { SkipstoneError } from '../errors.js'
import { type FileSource, readJson } from '../storage/source.js'
import { type ChatMessage, type ChatTemplate, findChatTemplate, type RenderOptions } from '../text/chat-template.js'
import { type TokenPiece, tokenPieces } from '../text/token-pieces.js'
import { loadTokenizer, type TextTokenizer } from '../text/tokenizer.js'
import type { ModelText } from './text-api.js'

/** Reads tokenizer and chat template when text is first needed: ids alone need neither. */
export class TextCodec implements ModelText {
  #tokenizer: Promise<TextTokenizer> | undefined
  #template: Promise<ChatTemplate | undefined> | undefined

  constructor(private readonly files: FileSource) {}

  /** @throws `not-found` where the model has no tokenizer.json. */
  tokenizer(): Promise<TextTokenizer> {
    this.#tokenizer ??= this.#loadTokenizer().catch((error: unknown) => {
      this.#tokenizer = undefined
      throw error
    })
    return this.#tokenizer
  }

  async encode(text: string, options?: { addSpecialTokens?: boolean }): Promise<number[]> {
    return (await this.tokenizer()).encode(text, options)
  }

  async decode(ids: readonly number[], options?: { skipSpecialTokens?: boolean }): Promise<string> {
    return (await this.tokenizer()).decode(ids, options)
  }

  async pieces(ids: readonly number[], before?: readonly number[]): Promise<TokenPiece[]> {
    return tokenPieces(await this.tokenizer(), ids, before)
  }

  async chatTemplate(options?: { tools?: boolean }): Promise<string | undefined> {
    return (await this.#chatTemplate())?.sourceFor(options)
  }

  async render(messages: readonly ChatMessage[], options?: RenderOptions): Promise<string> {
    const template = await this.#chatTemplate()
    if (!template) {
      throw new SkipstoneError(
        'unsupported',
        'This model has no chat template: it continues text, use generate() with a prompt.',
      )
    }
    return template.render(messages, options)
  }

  #chatTemplate(): Promise<ChatTemplate | undefined> {
    this.#template ??= this.#loadTemplate().catch((error: unknown) => {
      this.#template = undefined
      throw error
    })
    return this.#template
  }

  async #loadTokenizer(): Promise<TextTokenizer> {
    if (!(await this.files.has('tokenizer.json'))) {
      throw new SkipstoneError(
        'not-found',
        `There is no tokenizer.json in ${this.files.description}: add it, or work with token ids.`,
      )
    }
    const config = (await this.files.has('tokenizer_config.json'))
      ? await readJson(this.files, 'tokenizer_config.json')
      : undefined
    return loadTokenizer(await readJson(this.files, 'tokenizer.json'), config)
  }

  async #loadTemplate(): Promise<ChatTemplate | undefined> {
    const config = (await this.files.has('tokenizer_config.json'))
      ? await readJson(this.files, 'tokenizer_config.json')
      : undefined
    const jinja = (await this.files.has('chat_template.jinja'))
      ? new TextDecoder().decode(await this.files.read('chat_template.jinja'))
      : undefined
    return findChatTemplate(config, jinja)
  }
}
