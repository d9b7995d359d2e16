import { SkipstoneError } from '../errors.js'
import { additionalSpecialTokens, isRecord, namedSpecialTokens } from './special-tokens.js'
import {
  adaptDecoder,
  adaptNormalizer,
  adaptPostProcessor,
  adaptPreTokenizer,
  type Part,
  unsupportedPart,
} from './tokenizer-parts.js'

/** A token that is found in the text before the model sees it. */
export interface AddedToken {
  readonly id: number
  readonly content: string
  readonly special: boolean
  readonly normalized: boolean
  readonly lstrip: boolean
  readonly rstrip: boolean
}

/** A tokenizer.json whose shape was checked and whose parts were rewritten for `@huggingface/tokenizers`. */
export interface TokenizerSpec {
  readonly model: Record<string, unknown>
  readonly normalizer: Part | null
  readonly pre_tokenizer: Part | null
  readonly post_processor: Part | null
  readonly decoder: Part | null
  readonly added_tokens: readonly AddedToken[]
}

function badTokenizer(what: string): SkipstoneError {
  return new SkipstoneError(
    'bad-file',
    `tokenizer.json ${what}. Download the file again, or take it from the model's publisher.`,
  )
}

function isId(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0
}

/** The vocabulary as token -> id, after checking that the model is one that the library runs as Rust does. */
function checkBpe(model: Record<string, unknown>): Map<string, number> {
  const { vocab, merges } = model
  if (!isRecord(vocab) || !Object.values(vocab).every(isId)) throw badTokenizer('has no vocabulary of token: id')
  if (!Array.isArray(merges)) throw badTokenizer('has no list of merges')
  if (model.continuing_subword_prefix) throw unsupportedPart('a BPE model with continuing_subword_prefix')
  const ids = new Map(Object.entries(vocab as Record<string, number>))
  for (const merge of merges as unknown[]) {
    const pair: unknown = typeof merge === 'string' ? merge.split(' ') : merge
    if (!Array.isArray(pair) || pair.length !== 2 || !ids.has(`${pair[0]}${pair[1]}`))
      throw badTokenizer(`has the merge ${JSON.stringify(merge)}, which makes no token of its vocabulary`)
  }
  return ids
}

function checkUnigram(model: Record<string, unknown>): Map<string, number> {
  const { vocab } = model
  const isEntry = (e: unknown) => Array.isArray(e) && typeof e[0] === 'string' && typeof e[1] === 'number'
  if (!Array.isArray(vocab) || vocab.length === 0 || !vocab.every(isEntry))
    throw badTokenizer('has no vocabulary of [token, score]')
  if (model.byte_fallback) throw unsupportedPart('a Unigram model with byte_fallback')
  // Without it Rust fails on the first unknown character; the library would emit no id for it.
  if (!isId(model.unk_id)) throw unsupportedPart('a Unigram model without an unknown token')
  return new Map(vocab.map((entry: [string, number], id) => [entry[0], id]))
}

function checkModel(model: Record<string, unknown>): Map<string, number> {
  // Files from before version 0.9 of the crate carry no type; only BPE has merges.
  const type = model.type ?? ('merges' in model ? 'BPE' : undefined)
  if (type === 'BPE') return checkBpe(model)
  if (type === 'Unigram') return checkUnigram(model)
  throw unsupportedPart(`the model "${String(type)}"`)
}

function addedToken(value: unknown, id: unknown): AddedToken {
  if (!isRecord(value) || typeof value.content !== 'string' || value.content === '' || !isId(id))
    throw badTokenizer('has an added token without id and content')
  if (value.single_word === true) throw unsupportedPart(`the added token "${value.content}" with single_word`)
  const special = value.special === true
  return {
    id,
    content: value.content,
    special,
    normalized: typeof value.normalized === 'boolean' ? value.normalized : !special,
    lstrip: value.lstrip === true,
    rstrip: value.rstrip === true,
  }
}

/**
 * All added tokens: those of tokenizer.json; those that only tokenizer_config.json lists, under `added_tokens_decoder`;
 * and the special tokens that it names (`eos_token`, …) and that so far are only words of the vocabulary. Transformers
 * makes the same additions when it loads a model, and chat templates write such tokens out.
 */
function addedTokens(list: unknown, config: unknown, vocab: ReadonlyMap<string, number>): AddedToken[] {
  if (!Array.isArray(list)) throw badTokenizer('has added_tokens that are not a list')
  const tokens = list.map((value: unknown) => addedToken(value, isRecord(value) ? value.id : undefined))
  const known = new Set(tokens.map((token) => token.content))
  const add = (token: AddedToken) => {
    if (!known.has(token.content)) tokens.push(token)
    known.add(token.content)
  }
  const extra = isRecord(config) && isRecord(config.added_tokens_decoder) ? config.added_tokens_decoder : {}
  for (const [id, value] of Object.entries(extra)) add(addedToken(value, Number(id)))
  for (const content of [...namedSpecialTokens(config).values(), ...additionalSpecialTokens(config)]) {
    const id = vocab.get(content)
    if (id !== undefined) add({ id, content, special: true, normalized: false, lstrip: false, rstrip: false })
  }
  return tokens
}

/**
 * Checks a parsed tokenizer.json and rewrites it for `@huggingface/tokenizers`.
 * @throws `bad-file` where it is malformed, `unsupported` where it needs something that cannot be run exactly.
 */
export function parseTokenizerSpec(tokenizerJson: unknown, tokenizerConfig: unknown): TokenizerSpec {
  if (!isRecord(tokenizerJson) || !isRecord(tokenizerJson.model)) throw badTokenizer('has no model')
  const { model, normalizer, pre_tokenizer, post_processor, decoder } = tokenizerJson
  const vocab = checkModel(model)
  const added_tokens = addedTokens(tokenizerJson.added_tokens ?? [], tokenizerConfig, vocab)
  // Rust compares a piece's offset with 0; the library numbers only what lies between un-normalised added tokens.
  const first = isRecord(pre_tokenizer) && pre_tokenizer.prepend_scheme === 'first'
  if (first && normalizer && added_tokens.some((token) => token.normalized))
    throw unsupportedPart('a Metaspace with prepend_scheme "first" beside normalized added tokens')
  return {
    model,
    normalizer: normalizer ? adaptNormalizer(normalizer) : null,
    pre_tokenizer: pre_tokenizer ? adaptPreTokenizer(pre_tokenizer) : null,
    post_processor: post_processor ? adaptPostProcessor(post_processor) : null,
    decoder: decoder ? adaptDecoder(decoder) : null,
    added_tokens,
  }
}
