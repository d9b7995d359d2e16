import { SkipstoneError } from '../errors.js'
import { GGUF_PRE_TOKENIZERS, type GgufPreTokenizer } from './gguf-pre-tokenizers.js'
import {
  badGgufTokenizer,
  type GgufMetadata,
  type GgufVocabulary,
  readBoolean,
  readNumbers,
  readStrings,
  readText,
  readToken,
  readVocabulary,
  TOKEN_TYPE,
} from './gguf-vocabulary.js'
import { spmMerges } from './spm-merges.js'

type Json = Record<string, unknown>

/** What `loadTokenizer` and `findChatTemplate` read, made from a GGUF file. */
export interface GgufTokenizer {
  /** In the shape of a tokenizer.json. */
  readonly tokenizer: Json
  /** In the shape of a tokenizer_config.json: special tokens and the chat template. */
  readonly config: Json
}

/** What differs between the kinds of tokenisers. */
interface Kind {
  readonly parts: Json
  /** Where the file does not say. */
  readonly addBos: boolean
  /** Ids that special tokens have where the file does not name them. */
  readonly defaultIds: { readonly bos?: number; readonly eos?: number; readonly unk?: number }
}

/**
 * The tokeniser of a GGUF file, from its metadata (keys: docs/gguf.md of github.com/ggml-org/ggml). `tokenizer.ggml.model` is
 * `llama` (SentencePiece BPE) or `gpt2` (byte-level BPE).
 * @throws `unsupported`, naming it, for another model or an unknown way of cutting text; `bad-file` where something is missing
 *   or malformed.
 */
export function ggufTokenizer(metadata: GgufMetadata): GgufTokenizer {
  const model = readText(metadata, 'tokenizer.ggml.model')
  if (model === undefined) throw badGgufTokenizer('is missing')
  if (model !== 'llama' && model !== 'gpt2')
    throw unsupported(`is of the kind "${model}"; llama and gpt2 are supported`)
  const vocabulary = readVocabulary(metadata)
  const { parts, addBos, defaultIds } = model === 'llama' ? spm(metadata, vocabulary) : byteLevel(metadata, vocabulary)

  const bos = readToken(metadata, 'bos_token_id', vocabulary, defaultIds.bos)
  const eos = readToken(metadata, 'eos_token_id', vocabulary, defaultIds.eos)
  const added = {
    bos: readBoolean(metadata, 'tokenizer.ggml.add_bos_token', addBos),
    eos: readBoolean(metadata, 'tokenizer.ggml.add_eos_token', false),
  }
  if ((added.bos && bos === undefined) || (added.eos && eos === undefined)) {
    throw badGgufTokenizer('adds a token at the start or end of texts that it does not name')
  }
  return {
    tokenizer: {
      version: '1.0',
      truncation: null,
      padding: null,
      added_tokens: addedTokens(vocabulary),
      post_processor: template(added.bos ? bos : undefined, added.eos ? eos : undefined, vocabulary),
      ...parts,
    },
    config: defined({
      add_bos_token: added.bos,
      add_eos_token: added.eos,
      bos_token: bos,
      eos_token: eos,
      unk_token: readToken(metadata, 'unknown_token_id', vocabulary, defaultIds.unk),
      pad_token: readToken(metadata, 'padding_token_id', vocabulary),
      chat_template: chatTemplates(metadata),
      clean_up_tokenization_spaces: false,
    }),
  }
}

/** The template, or a list where there is another one for tools. */
function chatTemplates(metadata: GgufMetadata): unknown {
  const plain = readText(metadata, 'tokenizer.chat_template')
  const withTools = readText(metadata, 'tokenizer.chat_template.tool_use')
  if (plain === undefined || withTools === undefined) return plain
  return [
    { name: 'default', template: plain },
    { name: 'tool_use', template: withTools },
  ]
}

/** SentencePiece: `▁` for spaces and in front, pieces joined by score, bytes for what is no piece. As LlamaConverter makes it. */
function spm(metadata: GgufMetadata, vocabulary: GgufVocabulary): Kind {
  const defaultIds = { bos: 1, eos: 2, unk: 0 } // llama.cpp's
  const { tokens, ids, typeOf } = vocabulary
  const scores = readNumbers(metadata, 'tokenizer.ggml.scores', tokens.length)
  if (!scores) throw badGgufTokenizer('has no scores')
  const never: readonly number[] = [TOKEN_TYPE.unknown, TOKEN_TYPE.control, TOKEN_TYPE.unused, TOKEN_TYPE.byte]
  const merges = spmMerges(ids, scores, (id) => !never.includes(typeOf(id)))
  refuseUnordered(merges, ids, scores)

  const space = readBoolean(metadata, 'tokenizer.ggml.add_space_prefix', true)
  const underline = { type: 'Replace', pattern: { String: ' ' }, content: '▁' }
  const decoders = [
    { type: 'Replace', pattern: { String: '▁' }, content: ' ' },
    { type: 'ByteFallback' },
    { type: 'Fuse' },
    ...(space ? [{ type: 'Strip', content: ' ', start: 1, stop: 0 }] : []),
  ]
  const unknown = readToken(metadata, 'unknown_token_id', vocabulary, defaultIds.unk)
  return {
    parts: {
      normalizer: {
        type: 'Sequence',
        normalizers: [...(space ? [{ type: 'Prepend', prepend: '▁' }] : []), underline],
      },
      pre_tokenizer: null,
      decoder: { type: 'Sequence', decoders },
      model: bpe(vocabulary, merges, { unk_token: unknown ?? null, fuse_unk: true, byte_fallback: true }),
    },
    addBos: true,
    defaultIds,
  }
}

/** Some converters write one score for all pieces; then nothing tells how text was cut when the model was trained. */
function refuseUnordered(
  merges: readonly [string, string][],
  ids: ReadonlyMap<string, number>,
  scores: ArrayLike<number>,
): void {
  const pieces = new Set(merges.map(([left, right]) => left + right))
  const distinct = new Set(Array.from(pieces, (piece) => scores[ids.get(piece)!]))
  if (pieces.size > 1 && distinct.size === 1) throw unsupported('gives all tokens the same score')
}

/** GPT-2's kind: text is cut, spelled in bytes, and merged by a list. */
function byteLevel(metadata: GgufMetadata, vocabulary: GgufVocabulary): Kind {
  const { normalizer, pre_tokenizer, ignoreMerges, addBos } = preTokenizer(metadata)
  const lines = readStrings(metadata, 'tokenizer.ggml.merges')
  if (!lines) throw badGgufTokenizer('has no merges')
  const merges = lines.map((line): [string, string] => {
    const at = line.indexOf(' ', 1)
    if (at < 0 || !vocabulary.ids.has(line.slice(0, at) + line.slice(at + 1))) {
      throw badGgufTokenizer(`has the merge ${JSON.stringify(line)}, which makes none of its tokens`)
    }
    return [line.slice(0, at), line.slice(at + 1)]
  })
  return {
    parts: {
      normalizer,
      pre_tokenizer,
      decoder: { type: 'ByteLevel', add_prefix_space: true, trim_offsets: true, use_regex: true },
      model: bpe(vocabulary, merges, {
        unk_token: null,
        fuse_unk: false,
        byte_fallback: false,
        ignore_merges: ignoreMerges,
      }),
    },
    addBos,
    defaultIds: {},
  }
}

function preTokenizer(metadata: GgufMetadata): GgufPreTokenizer {
  const name = readText(metadata, 'tokenizer.ggml.pre')
  // llama.cpp goes on with "default" and a warning that the model gets worse.
  if (name === undefined) throw unsupported('does not say how it cuts text ("tokenizer.ggml.pre"), as old files do')
  const found = GGUF_PRE_TOKENIZERS.get(name)
  if (!found)
    throw unsupported(`cuts text the way of "${name}"; known are ${[...GGUF_PRE_TOKENIZERS.keys()].join(', ')}`)
  return found
}

function bpe({ ids }: GgufVocabulary, merges: readonly [string, string][], settings: Json): Json {
  return { type: 'BPE', dropout: null, ...settings, vocab: Object.fromEntries(ids), merges }
}

/** Control tokens, the unknown token and user-defined ones are found in the text before it is cut. */
function addedTokens({ tokens, typeOf }: GgufVocabulary): Json[] {
  const found: readonly number[] = [TOKEN_TYPE.unknown, TOKEN_TYPE.control, TOKEN_TYPE.userDefined]
  return tokens.flatMap((content, id) => {
    if (!found.includes(typeOf(id))) return []
    const special = typeOf(id) !== TOKEN_TYPE.userDefined
    return [{ id, content, special, normalized: false, single_word: false, lstrip: false, rstrip: false }]
  })
}

/** What goes around a text: BOS before it and EOS after it, where they are given. */
function template(bos: string | undefined, eos: string | undefined, { ids }: GgufVocabulary): Json | null {
  const specials = [bos, eos].filter((token) => token !== undefined)
  if (specials.length === 0) return null
  const item = (token: string | undefined) => (token === undefined ? [] : [{ SpecialToken: { id: token, type_id: 0 } }])
  return {
    type: 'TemplateProcessing',
    single: [...item(bos), { Sequence: { id: 'A', type_id: 0 } }, ...item(eos)],
    pair: [],
    special_tokens: Object.fromEntries(
      specials.map((token) => [token, { id: token, ids: [ids.get(token)], tokens: [token] }]),
    ),
  }
}

function defined(object: Json): Json {
  return Object.fromEntries(Object.entries(object).filter(([, value]) => value !== undefined))
}

function unsupported(what: string): SkipstoneError {
  return new SkipstoneError(
    'unsupported',
    `The GGUF file's tokenizer ${what}. Pass token ids instead of text, or use another file of the model.`,
  )
}
