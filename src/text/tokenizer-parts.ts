import { SkipstoneError } from '../errors.js'
import { isRecord } from './special-tokens.js'

/*
 * The parts of a tokenizer.json, rewritten so that `@huggingface/tokenizers` (JavaScript) cuts text exactly where the
 * `tokenizers` crate (Rust), the reference, cuts it. The library accepts more than it obeys: it ignores most split
 * behaviours and some options silently. Each rule below says what it would have got wrong; what cannot be rewritten is
 * refused by name instead of being run nearly right.
 */

/** One normaliser, pre-tokenizer, post-processor or decoder. */
export type Part = Record<string, unknown> & { readonly type: string }

function badPart(kind: string): SkipstoneError {
  return new SkipstoneError(
    'bad-file',
    `tokenizer.json: a ${kind} is malformed. Download the file again, or take it from the model's publisher.`,
  )
}

/** An `unsupported` error that names the feature of tokenizer.json. */
export function unsupportedPart(feature: string): SkipstoneError {
  return new SkipstoneError(
    'unsupported',
    `tokenizer.json uses ${feature}, which Skipstone cannot reproduce exactly. Pass token ids instead of text, or use a model with another tokenizer.`,
  )
}

function asPart(value: unknown, kind: string): Part {
  if (!isRecord(value) || typeof value.type !== 'string') throw badPart(kind)
  return value as Part
}

function asParts(value: unknown, kind: string): Part[] {
  if (!Array.isArray(value)) throw badPart(kind)
  return value.map((part) => asPart(part, kind))
}

/** The library passes replacement text to `String.replaceAll`, which gives `$` a meaning that Rust does not. */
function literalReplacement(content: unknown, kind: string): string {
  if (typeof content !== 'string') throw badPart(kind)
  return content.replaceAll('$', '$$$$')
}

/** The source of a regular expression (Oniguruma, as in the file) for a `{ String }` or `{ Regex }` pattern. */
function patternSource(pattern: unknown, kind: string): string {
  if (isRecord(pattern) && typeof pattern.Regex === 'string') return pattern.Regex
  if (isRecord(pattern) && typeof pattern.String === 'string')
    return pattern.String.replace(/[.*+?^${}()|[\]\\]/g, '\\$&')
  throw badPart(kind)
}

/** @throws `unsupported` for a normaliser that the library only approximates; `bad-file` where it is malformed. */
export function adaptNormalizer(value: unknown): Part {
  const part = asPart(value, 'normalizer')
  switch (part.type) {
    case 'Sequence':
      return { type: 'Sequence', normalizers: asParts(part.normalizers, 'normalizer').map(adaptNormalizer) }
    case 'Prepend':
      // Rust prepends nothing to an empty text (left, say, by a Strip before it); the library always prepends.
      // The pattern takes the whole text and `$&` gives it back: V8 finds a pattern that is only an anchor a second time,
      // between the halves of a surrogate pair.
      return {
        type: 'Replace',
        pattern: { Regex: '[\\s\\S]+' },
        content: `${literalReplacement(part.prepend, 'normalizer')}$&`,
      }
    case 'Replace':
      patternSource(part.pattern, 'normalizer')
      return { ...part, content: literalReplacement(part.content, 'normalizer') }
    case 'NFC':
    case 'NFD':
    case 'NFKC':
    case 'NFKD':
    case 'Strip':
    case 'StripAccents':
    case 'Lowercase':
      return part
    default:
      throw unsupportedPart(`the normalizer "${part.type}"`)
  }
}

/** GPT-2's pattern, as the Rust crate has it: its `\s` follows Unicode, the library's own copy has JavaScript's. */
const BYTE_LEVEL_PATTERN = "'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)|\\s+"

function isolate(source: string): Part {
  return { type: 'Split', pattern: { Regex: source }, behavior: 'Isolated', invert: false }
}

/**
 * A Split in one of the two forms that the library obeys: "Isolated", or "Removed". The other behaviours are turned into
 * a pattern that takes in the neighbour that they merge with.
 */
function split(source: string, behavior: unknown, invert: boolean): Part {
  switch (behavior) {
    case 'Isolated':
      return isolate(source) // matches and gaps are kept alike, so `invert` changes nothing; the library would drop gaps
    case 'Contiguous':
      return isolate(`(?:${source})+`)
    case 'Removed':
      // Without `invert` the library calls String.split, which would keep what a group captures.
      if (!invert && /(?<!\\)\((?!\?)/.test(source)) throw unsupportedPart('a Split that removes a captured group')
      return { type: 'Split', pattern: { Regex: source }, behavior: 'Removed', invert }
    case 'MergedWithPrevious':
      if (invert) throw unsupportedPart('an inverted Split with "MergedWithPrevious"')
      return isolate(`(?:(?!${source})[\\s\\S])*(?:${source})`)
    case 'MergedWithNext':
      if (invert) throw unsupportedPart('an inverted Split with "MergedWithNext"')
      return isolate(`(?:${source})(?:(?!${source})[\\s\\S])*`)
    default:
      throw badPart('pre_tokenizer')
  }
}

function adaptMetaspace(part: Part): Part {
  const replacement = part.replacement ?? '▁'
  if (typeof replacement !== 'string') throw badPart('pre_tokenizer')
  // Files from before `prepend_scheme` say it with `add_prefix_space`, which the library does not read.
  const scheme = part.prepend_scheme ?? (part.add_prefix_space === false ? 'never' : 'always')
  const metaspace: Part = { type: 'Metaspace', replacement, prepend_scheme: scheme }
  // Rust cuts before every replacement character unless told not to; the library never cuts.
  if (part.split === false) return metaspace
  const cut = split(patternSource({ String: replacement }, 'pre_tokenizer'), 'MergedWithNext', false)
  return { type: 'Sequence', pretokenizers: [metaspace, cut] }
}

/** @throws `unsupported` for a pre-tokenizer that the library lacks; `bad-file` where it is malformed. */
export function adaptPreTokenizer(value: unknown): Part {
  const part = asPart(value, 'pre_tokenizer')
  switch (part.type) {
    case 'Sequence': {
      const parts = asParts(part.pretokenizers, 'pre_tokenizer')
      // Rust compares a piece's offset with 0; the library counts every piece of the first section as first.
      if (parts.some((p, i) => i > 0 && p.prepend_scheme === 'first'))
        throw unsupportedPart('a Metaspace with prepend_scheme "first" after another pre-tokenizer')
      return { type: 'Sequence', pretokenizers: parts.map(adaptPreTokenizer) }
    }
    case 'ByteLevel': {
      const toBytes: Part = { type: 'ByteLevel', add_prefix_space: false, use_regex: false }
      // Whole text again, see Prepend: with a space in front as it is, else with one added.
      const addSpace: Part = { type: 'Replace', pattern: { Regex: ' ([\\s\\S]*)|([\\s\\S]+)' }, content: ' $1$2' }
      const pretokenizers = [
        ...(part.add_prefix_space === false ? [] : [addSpace]), // Rust's default is true, the library's false
        ...(part.use_regex === false ? [] : [isolate(BYTE_LEVEL_PATTERN)]),
        toBytes,
      ]
      return { type: 'Sequence', pretokenizers }
    }
    case 'Split':
      return split(patternSource(part.pattern, 'pre_tokenizer'), part.behavior, part.invert === true)
    case 'Metaspace':
      return adaptMetaspace(part)
    case 'Digits':
      // Rust means every numeric character; the library means ASCII digits.
      return split('\\p{N}', part.individual_digits === true ? 'Isolated' : 'Contiguous', false)
    case 'Punctuation':
      // The library runs marks together whatever the behaviour.
      return split('[\\p{P}\\x21-\\x2F\\x3A-\\x40\\x5B-\\x60\\x7B-\\x7E]', part.behavior ?? 'Isolated', false)
    case 'Whitespace':
      // The library's \w is ASCII, so it would cut words at every accent.
      return split('\\w+|[^\\w\\s]+', 'Removed', true)
    case 'WhitespaceSplit':
      return split('\\s+', 'Removed', false)
    default:
      throw unsupportedPart(`the pre-tokenizer "${part.type}"`)
  }
}

/** A template names its special tokens by key; the library takes the key for the token, so the tokens are written out. */
function expandTemplate(template: unknown, specials: unknown): unknown[] {
  if (!Array.isArray(template)) throw badPart('post_processor')
  return template.flatMap((item: unknown) => {
    const special = isRecord(item) ? item.SpecialToken : undefined
    if (!isRecord(special)) return [item]
    const entry = isRecord(specials) ? specials[String(special.id)] : undefined
    const tokens: unknown = isRecord(entry) ? entry.tokens : undefined
    if (!Array.isArray(tokens)) throw badPart('post_processor')
    return tokens.map((id: unknown) => ({ SpecialToken: { ...special, id } }))
  })
}

const SEQUENCE_A = { Sequence: { id: 'A', type_id: 0 } }

/** The special token of a `[token, id]` pair, as an item of a template. */
function around(pair: unknown): unknown {
  if (!Array.isArray(pair) || typeof pair[0] !== 'string') throw badPart('post_processor')
  return { SpecialToken: { id: pair[0], type_id: 0 } }
}

/** @throws `unsupported` for a post-processor that the library lacks; `bad-file` where it is malformed. */
export function adaptPostProcessor(value: unknown): Part {
  const part = asPart(value, 'post_processor')
  switch (part.type) {
    case 'Sequence':
      return { type: 'Sequence', processors: asParts(part.processors, 'post_processor').map(adaptPostProcessor) }
    case 'TemplateProcessing':
      return { type: part.type, single: expandTemplate(part.single, part.special_tokens), pair: [] }
    case 'BertProcessing':
    case 'RobertaProcessing':
      return { type: 'TemplateProcessing', single: [around(part.cls), SEQUENCE_A, around(part.sep)], pair: [] }
    case 'ByteLevel':
      return part // moves offsets only
    default:
      throw unsupportedPart(`the post-processor "${part.type}"`)
  }
}

/** @throws `unsupported` for a decoder that the library lacks; `bad-file` where it is malformed. */
export function adaptDecoder(value: unknown): Part {
  const part = asPart(value, 'decoder')
  switch (part.type) {
    case 'Sequence':
      return { type: 'Sequence', decoders: asParts(part.decoders, 'decoder').map(adaptDecoder) }
    case 'Replace':
      patternSource(part.pattern, 'decoder')
      return { ...part, content: literalReplacement(part.content, 'decoder') }
    case 'Metaspace':
      // With "never" nothing was prepended, so Rust takes nothing away; the library always does.
      if (part.prepend_scheme === 'never' || (part.prepend_scheme === undefined && part.add_prefix_space === false))
        return adaptDecoder({ type: 'Replace', pattern: { String: part.replacement ?? '▁' }, content: ' ' })
      return part
    case 'ByteLevel':
    case 'ByteFallback':
    case 'Fuse':
    case 'Strip':
    case 'BPEDecoder':
      return part
    default:
      throw unsupportedPart(`the decoder "${part.type}"`)
  }
}
