import type { Decoder, Tokenizer } from '@huggingface/tokenizers'
import { SkipstoneError } from '../errors.js'
import { type TokenBytes, tokenBytes } from './token-bytes.js'
import { unsupportedPart } from './tokenizer-parts.js'
import { parseTokenizerSpec, type TokenizerSpec } from './tokenizer-spec.js'

/** Text to token ids and back, as the Hugging Face `tokenizers` crate does it for the same tokenizer.json. */
export interface TextTokenizer {
  /**
   * The ids of a text. `addSpecialTokens` (default true) adds what the post-processor prescribes, such as BOS; special
   * tokens that are written out in the text become their ids either way.
   */
  encode(text: string, options?: { addSpecialTokens?: boolean }): number[]
  /**
   * The text of ids. `skipSpecialTokens` (default true) leaves special tokens out. An id outside the vocabulary gives no
   * text (models pad their output layer), and bytes that are not UTF-8 give U+FFFD.
   */
  decode(ids: readonly number[], options?: { skipSpecialTokens?: boolean }): string
  /** One more than the highest id; a model's output layer may be wider. */
  readonly vocabSize: number
  /** The id of a token as it is spelled in the vocabulary (`▁the`, `Ġthe`, `<s>`), undefined where there is none. */
  idOf(token: string): number | undefined
  /** The ids that `skipSpecialTokens` leaves out. */
  readonly specialIds: ReadonlySet<number>
  /**
   * The bytes that a token adds to a text, undefined for one that is no text. They are those in the middle of a text: a space
   * that `decode` takes off the start of a text is among them.
   * @throws SkipstoneError `unsupported` where a token's bytes depend on its neighbours.
   */
  tokenBytes(id: number): Uint8Array | undefined
}

type Library = Pick<typeof import('@huggingface/tokenizers'), 'ByteFallbackDecoder' | 'SequenceDecoder' | 'Tokenizer'>

/** Every decoder of a chain, those inside sequences included. */
function flatDecoders(library: Library, decoder: Decoder | null): Decoder[] {
  if (decoder instanceof library.SequenceDecoder) return decoder.decoders.flatMap((d) => flatDecoders(library, d))
  return decoder ? [decoder] : []
}

/** Corrections of the library that no rewriting of the file can make. */
function correct(library: Library, tokenizer: Tokenizer): void {
  // Rust fuses unknown tokens inside one pre-token; the library would also fuse those of neighbouring pre-tokens.
  const model = tokenizer.model!
  const encodeAll = model._call.bind(model)
  model._call = (pieces) => pieces.flatMap((piece) => encodeAll([piece]))

  // The library's decoder for byte tokens swallows U+FEFF at the start of a run of bytes. Invalid bytes it replaces one
  // sequence at a time, where Rust replaces the whole run; that is kept, because with Rust's rule one bad byte would
  // change text that was already streamed.
  for (const decoder of flatDecoders(library, tokenizer.decoder))
    if (decoder instanceof library.ByteFallbackDecoder)
      decoder.text_decoder = new TextDecoder('utf-8', { ignoreBOM: true })
}

function construct(library: Library, spec: TokenizerSpec): Tokenizer {
  try {
    // The config's other keys drive clean-ups that the crate does not have, so the library does not get to see them.
    return new library.Tokenizer(spec, {})
  } catch (cause) {
    // Everything else was checked before: what is left are patterns that JavaScript's regular expressions lack.
    throw Object.assign(unsupportedPart(`a pattern that JavaScript cannot compile (${String(cause)})`), { cause })
  }
}

/** The library believes its file: what no check before found shows when it is used. */
function guarded<T>(use: () => T): T {
  try {
    return use()
  } catch (cause) {
    throw new SkipstoneError(
      'bad-file',
      `tokenizer.json makes the tokenizer fail (${String(cause)}); download the file again, or take it from the model's publisher.`,
      { cause },
    )
  }
}

/**
 * Makes a tokenizer from parsed tokenizer.json and, where there is one, tokenizer_config.json. The library is loaded on
 * the first call.
 * @throws SkipstoneError `bad-file` for a malformed tokenizer.json; `unsupported`, naming the feature, for one that
 *   cannot be run exactly.
 */
export async function loadTokenizer(tokenizerJson: unknown, tokenizerConfig: unknown): Promise<TextTokenizer> {
  const spec = parseTokenizerSpec(tokenizerJson, tokenizerConfig)
  // By name, so that bundlers leave the rest out.
  const { ByteFallbackDecoder, SequenceDecoder, Tokenizer } = await import('@huggingface/tokenizers')
  const library = { ByteFallbackDecoder, SequenceDecoder, Tokenizer }
  const tokenizer = construct(library, spec)
  correct(library, tokenizer)

  const vocab = tokenizer.model!.vocab
  const specialIds = new Set(spec.added_tokens.filter((token) => token.special).map((token) => token.id))
  let bytesOf: TokenBytes | undefined
  return {
    vocabSize: vocab.length,
    specialIds,
    tokenBytes: (id) => {
      bytesOf ??= tokenBytes(spec, vocab)
      return bytesOf(id)
    },
    idOf: (token) => tokenizer.token_to_id(token),
    encode: (text, { addSpecialTokens = true } = {}) =>
      guarded(() => tokenizer.encode(text, { add_special_tokens: addSpecialTokens }).ids),
    decode: (ids, { skipSpecialTokens = true } = {}) => {
      // Unknown ids and special tokens are taken out here: the library fails on an empty list, turns unknown ids into
      // unknown tokens, and searches a list for every special token. Clean-up of spaces is no part of the crate and
      // cannot be streamed.
      const kept = ids.filter((id) => vocab[id] !== undefined && !(skipSpecialTokens && specialIds.has(id)))
      if (kept.length === 0) return ''
      return guarded(() => tokenizer.decode(kept, { clean_up_tokenization_spaces: false }))
    },
  }
}
