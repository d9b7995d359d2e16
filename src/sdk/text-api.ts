import type { ChatMessage, RenderOptions } from '../text/chat-template.js'
import type { TokenPiece } from '../text/token-pieces.js'

/** A model's tokenizer and chat template. All fail with `not-found` where the model has no tokenizer.json. */
export interface ModelText {
  /**
   * The ids of a text. `addSpecialTokens` (default true) adds what the tokenizer prescribes, such as BOS; special tokens that are
   * written out in the text become their ids either way.
   */
  encode(text: string, options?: { addSpecialTokens?: boolean }): Promise<number[]>

  /** The text of ids. `skipSpecialTokens` (default true) leaves special tokens out; bytes that are not UTF-8 give U+FFFD. */
  decode(ids: readonly number[], options?: { skipSpecialTokens?: boolean }): Promise<string>

  /** Each token's own part of the text that `before` and `ids` make together. */
  pieces(ids: readonly number[], before?: readonly number[]): Promise<TokenPiece[]>

  /** The text of a conversation as the model's template writes it. @throws `unsupported` where it has no template. */
  render(messages: readonly ChatMessage[], options?: RenderOptions): Promise<string>

  /** The source of that template, or of the one for requests with tools where the model has two; undefined where it has none. */
  chatTemplate(options?: { tools?: boolean }): Promise<string | undefined>
}
