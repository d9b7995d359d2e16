import { unsupportedPart } from './tokenizer-parts.js'
import type { TokenizerSpec } from './tokenizer-spec.js'

/** Undefined for a token that is no text: special ones, the unknown token, and ids that there are none of. */
export type TokenBytes = (id: number) => Uint8Array | undefined

type Decoder = Readonly<Record<string, unknown>> & { readonly type: string }

/** How a decoder changes the spelling of a token, or which byte it stands for. */
interface Spelling {
  readonly toText: ((token: string) => string)[]
  byteLevel: boolean
  byteFallback: boolean
  /** Whether tokens are one text by now. */
  fused: boolean
}

/**
 * The bytes that every token adds to a text, for tokenizers whose decoder lets that be said of a token alone. Bytes of
 * consecutive tokens, joined, are the UTF-8 of their text: a character may be spread over several.
 *
 * They are those in the middle of a text. A decoder of SentencePiece's kind (Strip, Metaspace) takes one space off the start
 * of the text that it is given; the bytes keep it, as a continuation of a prompt does.
 * @throws SkipstoneError `unsupported` where a token's text depends on its neighbours otherwise.
 */
export function tokenBytes(spec: TokenizerSpec, vocab: readonly (string | undefined)[]): TokenBytes {
  const spelling = readDecoder(spec.decoder)
  const added = new Map(spec.added_tokens.map((token) => [token.id, token]))
  const unknown = unknownId(spec, vocab)
  const encoder = new TextEncoder()
  return (id) => {
    const token = vocab[id]
    const addedToken = added.get(id)
    if (token === undefined || id === unknown || addedToken?.special) return undefined
    if (spelling.byteLevel) return addedToken ? encoder.encode(token) : byteLevelBytes(token)
    const byte = spelling.byteFallback ? /^<0x([0-9A-Fa-f]{2})>$/.exec(token) : null
    if (byte) return Uint8Array.of(Number.parseInt(byte[1]!, 16))
    return encoder.encode(spelling.toText.reduce((text, change) => change(text), token))
  }
}

function unknownId({ model }: TokenizerSpec, vocab: readonly (string | undefined)[]): number | undefined {
  if (typeof model.unk_id === 'number') return model.unk_id
  return typeof model.unk_token === 'string' ? vocab.indexOf(model.unk_token) : undefined
}

function readDecoder(decoder: Decoder | null): Spelling {
  const spelling: Spelling = { toText: [], byteLevel: false, byteFallback: false, fused: false }
  // Without a decoder tokens are joined by spaces, the first one excepted.
  if (!decoder) throw unsupportedPart("no decoder, so that a token's bytes depend on its neighbours")
  for (const part of flat(decoder)) {
    // Bytes are text once they are joined: nothing that changes text may come after.
    if (spelling.byteLevel) throw unsupportedPart(`the decoder "${part.type}" after "ByteLevel"`)
    readPart(part, spelling)
  }
  return spelling
}

function flat(decoder: Decoder): Decoder[] {
  return decoder.type === 'Sequence' ? (decoder.decoders as Decoder[]).flatMap(flat) : [decoder]
}

function readPart(part: Decoder, spelling: Spelling): void {
  switch (part.type) {
    case 'ByteLevel':
      spelling.byteLevel = true
      return
    case 'ByteFallback':
      if (spelling.fused) break
      spelling.byteFallback = true
      return
    case 'Fuse':
      spelling.fused = true
      return
    case 'Metaspace': {
      const replacement = String(part.replacement ?? '▁')
      spelling.toText.push((token) => token.replaceAll(replacement, ' '))
      return
    }
    case 'Replace': {
      const { pattern, content } = part as unknown as { pattern: Record<string, unknown>; content: string }
      const { String: text } = pattern
      // A longer pattern could match across tokens once they are fused.
      if (typeof text !== 'string' || text.length !== 1) break
      spelling.toText.push((token) => token.replaceAll(text, content))
      return
    }
    case 'Strip':
      // Before tokens are fused it would strip every one of them.
      if (spelling.fused && part.stop === 0 && part.content === ' ') return
  }
  throw unsupportedPart(`the decoder "${part.type}" in a way that makes a token's bytes depend on its neighbours`)
}

/** GPT-2's stand-ins: printable bytes are themselves, the others follow from U+0100 in order. */
const BYTE_OF = new Map<string, number>()
for (let byte = 0, next = 256; byte < 256; byte++) {
  const printable = (byte >= 0x21 && byte <= 0x7e) || (byte >= 0xa1 && byte <= 0xac) || byte >= 0xae
  BYTE_OF.set(String.fromCharCode(printable ? byte : next++), byte)
}

/** Undefined where a character stands for no byte: the model could never have seen such a token. */
function byteLevelBytes(token: string): Uint8Array | undefined {
  const bytes = Array.from(token, (char) => BYTE_OF.get(char))
  return bytes.includes(undefined) ? undefined : Uint8Array.from(bytes as number[])
}
