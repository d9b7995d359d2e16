import { SkipstoneError } from '../errors.js'

/** The metadata of a GGUF file: scalars as they are, numeric lists as typed arrays, lists of text as arrays. */
export type GgufMetadata = ReadonlyMap<string, unknown>

/** Kinds of tokens, as `tokenizer.ggml.token_type` numbers them (`llama_token_type` of llama.h). */
export const TOKEN_TYPE = { normal: 1, unknown: 2, control: 3, userDefined: 4, unused: 5, byte: 6 } as const

/** The tokens of a GGUF file: index = id. */
export interface GgufVocabulary {
  readonly tokens: readonly string[]
  readonly ids: ReadonlyMap<string, number>
  typeOf(id: number): number
}

export function badGgufTokenizer(what: string): SkipstoneError {
  return new SkipstoneError('bad-file', `The GGUF file's tokenizer ${what}. Fetch the file again, or take another one.`)
}

/** @throws `bad-file` where the list is missing, malformed, or has a token twice. */
export function readVocabulary(metadata: GgufMetadata): GgufVocabulary {
  const list = readStrings(metadata, 'tokenizer.ggml.tokens')
  if (!list || list.length === 0) throw badGgufTokenizer('has no tokens')
  // llama.cpp's stand-in, since text can never be an empty token.
  const tokens = list.map((token, id) => token || `[EMPTY_${id}]`)
  const ids = new Map(tokens.map((token, id) => [token, id]))
  if (ids.size !== tokens.length) throw badGgufTokenizer('has a token twice')
  const types = readNumbers(metadata, 'tokenizer.ggml.token_type', tokens.length)
  return { tokens, ids, typeOf: (id) => types?.[id] ?? TOKEN_TYPE.normal }
}

/** A list of text; undefined where there is none. */
export function readStrings(metadata: GgufMetadata, key: string): readonly string[] | undefined {
  const value = metadata.get(key)
  if (value === undefined) return undefined
  if (!Array.isArray(value) || !value.every((item) => typeof item === 'string')) {
    throw badGgufTokenizer(`has a "${key}" that is no list of text`)
  }
  return value
}

/** A list of `length` numbers; undefined where there is none. */
export function readNumbers(metadata: GgufMetadata, key: string, length: number): ArrayLike<number> | undefined {
  const value = metadata.get(key)
  if (value === undefined) return undefined
  const list = ArrayBuffer.isView(value) && !(value instanceof DataView) ? (value as unknown as ArrayLike<unknown>) : []
  if (list.length !== length || typeof list[0] !== 'number') {
    throw badGgufTokenizer(`has a "${key}" that is no list of ${length} numbers`)
  }
  return list as ArrayLike<number>
}

export function readBoolean(metadata: GgufMetadata, key: string, fallback: boolean): boolean {
  const value = metadata.get(key) ?? fallback
  if (typeof value !== 'boolean') throw badGgufTokenizer(`has a "${key}" that is neither true nor false`)
  return value
}

export function readText(metadata: GgufMetadata, key: string): string | undefined {
  const value = metadata.get(key)
  if (value !== undefined && typeof value !== 'string') throw badGgufTokenizer(`has a "${key}" that is no text`)
  return value
}

/** What writers put where there is no such token: −1, mostly as a u32. llama.cpp reads it as if nothing were there. */
const NO_TOKEN: readonly unknown[] = [-1, 0xffff_ffff]

/** The token whose id stands at `tokenizer.ggml.NAME`; undefined where there is none. */
export function readToken(
  metadata: GgufMetadata,
  name: string,
  { tokens }: GgufVocabulary,
  fallback?: number,
): string | undefined {
  const key = `tokenizer.ggml.${name}`
  const given = metadata.get(key)
  const id = given === undefined || NO_TOKEN.includes(given) ? fallback : given
  if (id === undefined) return undefined
  const token = typeof id === 'number' ? tokens[id] : undefined
  if (token === undefined) throw badGgufTokenizer(`has a "${key}" of ${String(id)}, which is none of its tokens`)
  return token
}
