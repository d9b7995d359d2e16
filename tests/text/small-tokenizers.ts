/** Tokenizers small enough to read, in the two styles that language models use. */

const LLAMA_3_PATTERN =
  "(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}{1,3}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+"

/** GPT-2's printable stand-in for every byte. */
export function byteAlphabet(): string[] {
  const printable = (b: number) => (b >= 0x21 && b <= 0x7e) || (b >= 0xa1 && b <= 0xac) || b >= 0xae
  let next = 256
  return Array.from({ length: 256 }, (_, b) => String.fromCodePoint(printable(b) ? b : next++))
}

/** Bytes of a text as GPT-2 spells them. */
export function spell(text: string): string {
  const alphabet = byteAlphabet()
  return Array.from(new TextEncoder().encode(text), (b) => alphabet[b]!).join('')
}

function addedToken(id: number, content: string, special: boolean) {
  return { id, content, special, single_word: false, lstrip: false, rstrip: false, normalized: false }
}

function numbered(tokens: readonly string[]): Record<string, number> {
  return Object.fromEntries([...new Set(tokens)].map((token, id) => [token, id]))
}

/** Merges as pairs, and every token that they make. */
function merged(merges: readonly [string, string][]): string[] {
  return merges.map(([a, b]) => a + b)
}

/** Byte-level BPE as in GPT-2, Llama 3 and Qwen 2: a Split pattern, bytes, merges; BOS by a template after ByteLevel. */
export function byteLevelTokenizer() {
  const merges: [string, string][] = [
    ['h', 'e'],
    ['l', 'l'],
    ['he', 'll'],
    ['hell', 'o'],
    ['Ġ', 'w'],
    ['Ġw', 'o'],
    ['1', '2'],
    ['12', '3'],
    ['Ġ', 'Ġ'],
    ...(['日', '🙂'].map((c) => [spell(c).slice(0, 2), spell(c).slice(2, 3)]) as [string, string][]),
    ...(['日', '🙂'].map((c) => [spell(c)[0], spell(c)[1]]) as [string, string][]),
  ]
  const vocab = numbered([...byteAlphabet(), ...merged(merges)])
  const next = Object.keys(vocab).length
  return {
    added_tokens: [
      addedToken(next, '<|begin|>', true),
      addedToken(next + 1, '<|end|>', true),
      addedToken(next + 2, '<think>', false),
    ],
    normalizer: null,
    pre_tokenizer: {
      type: 'Sequence',
      pretokenizers: [
        { type: 'Split', pattern: { Regex: LLAMA_3_PATTERN }, behavior: 'Isolated', invert: false },
        { type: 'ByteLevel', add_prefix_space: false, trim_offsets: true, use_regex: false },
      ],
    },
    post_processor: {
      type: 'Sequence',
      processors: [
        { type: 'ByteLevel', add_prefix_space: true, trim_offsets: false, use_regex: true },
        {
          type: 'TemplateProcessing',
          single: [{ SpecialToken: { id: 'bos', type_id: 0 } }, { Sequence: { id: 'A', type_id: 0 } }],
          pair: [],
          special_tokens: { bos: { id: 'bos', ids: [next], tokens: ['<|begin|>'] } },
        },
      ],
    },
    decoder: { type: 'ByteLevel', add_prefix_space: true, trim_offsets: true, use_regex: true },
    model: { type: 'BPE', unk_token: null, byte_fallback: false, ignore_merges: true, vocab, merges },
  }
}

/** SentencePiece-style BPE as in Llama 2: `▁` for spaces and in front, byte tokens for unknown characters. */
export function spmTokenizer(options: { byteFallback: boolean; normalizedAdded?: boolean }) {
  const bytes = Array.from({ length: 256 }, (_, b) => `<0x${b.toString(16).toUpperCase().padStart(2, '0')}>`)
  const merges: [string, string][] = [
    ['▁', 'a'],
    ['b', 'c'],
    ['▁a', 'bc'],
    ['▁', '▁'],
  ]
  const letters = [...'▁abcdefgé']
  const vocab = numbered([
    '<unk>',
    '<s>',
    '</s>',
    ...(options.byteFallback ? bytes : []),
    ...letters,
    ...merged(merges),
  ])
  const added = ['<unk>', '<s>', '</s>'].map((content, id) => ({
    ...addedToken(id, content, true),
    normalized: options.normalizedAdded ?? false,
  }))
  return {
    added_tokens: added,
    normalizer: {
      type: 'Sequence',
      normalizers: [
        { type: 'Prepend', prepend: '▁' },
        { type: 'Replace', pattern: { String: ' ' }, content: '▁' },
      ],
    },
    pre_tokenizer: null as unknown,
    post_processor: {
      type: 'TemplateProcessing',
      single: [{ SpecialToken: { id: '<s>', type_id: 0 } }, { Sequence: { id: 'A', type_id: 0 } }],
      pair: [],
      special_tokens: { '<s>': { id: '<s>', ids: [1], tokens: ['<s>'] } },
    },
    decoder: {
      type: 'Sequence',
      decoders: [
        { type: 'Replace', pattern: { String: '▁' }, content: ' ' },
        { type: 'ByteFallback' },
        { type: 'Fuse' },
        { type: 'Strip', content: ' ', start: 1, stop: 0 },
      ],
    },
    model: {
      type: 'BPE',
      unk_token: '<unk>',
      fuse_unk: true,
      byte_fallback: options.byteFallback,
      vocab,
      merges: merges.map((pair) => pair.join(' ')),
    },
  }
}
