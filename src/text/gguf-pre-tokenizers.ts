/*
 * How byte-level tokenisers cut text before merging. A GGUF file holds only a name for it, `tokenizer.ggml.pre`; the parts of
 * tokenizer.json that the names stand for are those of the models' publishers, for "default" the patterns of llama.cpp
 * (src/llama-vocab.cpp).
 */

/** The parts of a tokenizer.json that follow from `tokenizer.ggml.pre`. */
export interface GgufPreTokenizer {
  readonly normalizer: object | null
  readonly pre_tokenizer: object
  /** Whether a piece that is a token as a whole is taken as such, without merging. */
  readonly ignoreMerges: boolean
  /** Whether BOS is added where the file does not say. */
  readonly addBos: boolean
}

const GPT2 = "'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)|\\s+"

const LLAMA3 =
  "(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}{1,3}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+"

const QWEN2 =
  "(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+"

const BYTES = { type: 'ByteLevel', add_prefix_space: false, trim_offsets: true, use_regex: false }

/** Each pattern cuts what the one before it left, then bytes are spelled as characters. */
function cut(...patterns: string[]): object {
  const splits = patterns.map((Regex) => ({ type: 'Split', pattern: { Regex }, behavior: 'Isolated', invert: false }))
  return { type: 'Sequence', pretokenizers: [...splits, BYTES] }
}

const plain = { normalizer: null, ignoreMerges: false, addBos: false }
const llama3: GgufPreTokenizer = { ...plain, pre_tokenizer: cut(LLAMA3), ignoreMerges: true, addBos: true }

/** By `tokenizer.ggml.pre`. */
export const GGUF_PRE_TOKENIZERS: ReadonlyMap<string, GgufPreTokenizer> = new Map([
  ['gpt-2', { ...plain, pre_tokenizer: cut(GPT2) }],
  ['smollm', { ...plain, pre_tokenizer: cut('\\p{N}', GPT2) }],
  // llama.cpp leaves out the normaliser; Qwen's own tokenizer.json, with which the models were trained, has it.
  ['qwen2', { ...plain, pre_tokenizer: cut(QWEN2), normalizer: { type: 'NFC' } }],
  ['llama-bpe', llama3],
  ['llama-v3', llama3],
  ['llama3', llama3],
  ['default', { ...plain, pre_tokenizer: cut('[\\p{P}$+<=>^~|]+', GPT2, '\\p{N}+', '[0-9][0-9][0-9]') }],
])
