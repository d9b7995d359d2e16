import { existsSync, readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { describe, expect, it } from 'vitest'
import { parseGguf } from '../../src/formats/gguf.js'
import { findChatTemplate } from '../../src/text/chat-template.js'
import { ggufTokenizer } from '../../src/text/gguf-tokenizer.js'
import { spmMerges } from '../../src/text/spm-merges.js'
import { loadTokenizer } from '../../src/text/tokenizer.js'
import { Prng } from '../fixtures/prng.js'
import { byteAlphabet, byteLevelTokenizer, spell, spmTokenizer } from './small-tokenizers.js'

const badFile = expect.objectContaining({ code: 'bad-file' })
const naming = (what: string) =>
  expect.objectContaining({ code: 'unsupported', message: expect.stringContaining(what) })

type Metadata = Map<string, unknown>

/** What a GGUF converter writes of a tokenizer.json. */
interface Source {
  readonly added_tokens: readonly { id: number; content: string; special: boolean }[]
  readonly model: { readonly vocab: Record<string, number>; readonly merges: readonly (string | readonly string[])[] }
}

const [NORMAL, UNKNOWN, CONTROL, USER_DEFINED, UNUSED, BYTE] = [1, 2, 3, 4, 5, 6] as const

function tokensOf({ added_tokens, model }: Source): { tokens: string[]; types: Int32Array } {
  const tokens: string[] = []
  for (const [token, id] of Object.entries(model.vocab)) tokens[id] = token
  for (const { id, content } of added_tokens) tokens[id] = content
  const types = Int32Array.from(tokens, (token) => (/^<0x[0-9A-F]{2}>$/.test(token) ? BYTE : NORMAL))
  for (const { id, content, special } of added_tokens) {
    types[id] = content === '<unk>' ? UNKNOWN : special ? CONTROL : USER_DEFINED
  }
  return { tokens, types }
}

const pairsOf = ({ model }: Source): string[][] =>
  model.merges.map((merge) => (typeof merge === 'string' ? merge.split(' ') : [...merge]))

function asGpt2(source: Source, pre: string, extra: Record<string, unknown> = {}): Metadata {
  const { tokens, types } = tokensOf(source)
  return new Map<string, unknown>([
    ['tokenizer.ggml.model', 'gpt2'],
    ['tokenizer.ggml.pre', pre],
    ['tokenizer.ggml.tokens', tokens],
    ['tokenizer.ggml.token_type', types],
    ['tokenizer.ggml.merges', pairsOf(source).map((pair) => pair.join(' '))],
    ...Object.entries(extra).map(([key, value]): [string, unknown] => [`tokenizer.ggml.${key}`, value]),
  ])
}

/** Scores as SentencePiece gives them: the earlier a piece was made, the higher. */
function asSpm(source: Source, extra: Record<string, unknown> = {}): Metadata {
  const { tokens, types } = tokensOf(source)
  const scores = new Float32Array(tokens.length).fill(-1e6)
  const ids = new Map(tokens.map((token, id) => [token, id]))
  for (const [rank, pair] of [...pairsOf(source).entries()].reverse()) scores[ids.get(pair.join(''))!] = -rank
  return new Map<string, unknown>([
    ['tokenizer.ggml.model', 'llama'],
    ['tokenizer.ggml.tokens', tokens],
    ['tokenizer.ggml.token_type', types],
    ['tokenizer.ggml.scores', scores],
    ...Object.entries(extra).map(([key, value]): [string, unknown] => [`tokenizer.ggml.${key}`, value]),
  ])
}

async function load(metadata: Metadata) {
  const { tokenizer, config } = ggufTokenizer(metadata)
  // What is handed on is what a file could hold.
  return loadTokenizer(JSON.parse(JSON.stringify(tokenizer)), JSON.parse(JSON.stringify(config)))
}

/** Texts of many kinds, and random mixtures of their pieces. */
function texts(): string[] {
  const pieces = [
    'Once upon a time',
    ' there was',
    "'s",
    "I'LL",
    ' ',
    '  ',
    '\n',
    '\n\n',
    '\t',
    '1',
    '2024',
    '3.14159',
    ' 12345678',
    'é',
    'e\u0301',
    'ﬁ',
    '日本語',
    '🙂',
    '👩‍👩‍👧',
    '\u00a0',
    '\u200b',
    '▁',
    '▁▁',
    '<s>',
    '</s>',
    '<unk>',
    '<0x41>',
    '<|endoftext|>',
    '!?',
    '...',
    '$a+b=<c>|~^',
    'CamelCaseWord',
    'the',
    'Lily',
    ' little girl named',
    '\u0000',
    '\ufeff',
    '\r\n',
    'Ünïcödé',
    'ΑΒΓ',
    '٣٤',
  ]
  const prng = new Prng(512)
  const mixtures = Array.from({ length: 400 }, () =>
    Array.from({ length: 1 + prng.below(8) }, () => pieces[prng.below(pieces.length)]!).join(''),
  )
  return ['', ...pieces, ...mixtures]
}

const readJson = (url: URL): unknown => JSON.parse(readFileSync(fileURLToPath(url), 'utf8'))
const shared = new URL('../../../shared/', import.meta.url)

describe('spmMerges', () => {
  const merges = (pieces: string[], scores: number[]) =>
    spmMerges(new Map(pieces.map((piece, id) => [piece, id])), scores, (id) => scores[id] !== Number.NEGATIVE_INFINITY)

  it('makes a piece of every two that spell it, best piece first', () => {
    expect(merges(['a', 'b', 'ab', 'aba', 'ba'], [0, 0, -2, -1, -3])).toEqual([
      ['ab', 'a'], // the longer left half of one piece
      ['a', 'ba'],
      ['a', 'b'],
      ['b', 'a'],
    ])
  })

  it('keeps the order of pieces with the same score and halves', () => {
    expect(merges(['a', 'b', 'ba', 'ab'], [0, 0, -1, -1])).toEqual([
      ['b', 'a'],
      ['a', 'b'],
    ])
  })

  it('cuts between characters, not inside them', () => {
    expect(merges(['🙂', 'a', '🙂a', '\ud83d'], [0, 0, -1, 0])).toEqual([['🙂', 'a']])
  })

  it('leaves out what text cannot become', () => {
    expect(merges(['a', 'b', 'ab', 'abb'], [0, 0, Number.NEGATIVE_INFINITY, -1])).toEqual([])
  })
})

describe('a SentencePiece vocabulary', () => {
  const source = spmTokenizer({ byteFallback: true })

  it('gives the ids of the tokenizer.json that it was made of', async () => {
    const original = await loadTokenizer(source, undefined)
    const tokenizer = await load(asSpm(source))
    expect(tokenizer.vocabSize).toBe(original.vocabSize)
    expect(tokenizer.specialIds).toEqual(original.specialIds)
    for (const text of [...texts(), 'abc abc', 'a bcbc  a', 'éé ']) {
      expect(tokenizer.encode(text)).toEqual(original.encode(text))
      const ids = original.encode(text, { addSpecialTokens: false })
      expect(tokenizer.encode(text, { addSpecialTokens: false })).toEqual(ids)
      expect(tokenizer.decode(ids)).toBe(original.decode(ids))
    }
  })

  it('adds BOS and EOS as the file says, BOS alone where it does not', async () => {
    const ends = async (extra: Record<string, unknown>) => {
      const ids = (await load(asSpm(source, extra))).encode('a')
      return [ids[0] === 1, ids.at(-1) === 2]
    }
    expect(await ends({})).toEqual([true, false])
    expect(await ends({ add_bos_token: false })).toEqual([false, false])
    expect(await ends({ add_bos_token: false, add_eos_token: true })).toEqual([false, true])
    expect(await ends({ add_bos_token: true, add_eos_token: true })).toEqual([true, true])
  })

  it('puts a space in front unless the file says not to', async () => {
    const bare = await load(asSpm(source, { add_space_prefix: false }))
    const a = bare.idOf('a')!
    expect(bare.encode('a', { addSpecialTokens: false })).toEqual([a])
    expect(bare.decode([a])).toBe('a')
    expect(bare.decode([bare.idOf('▁a')!])).toBe(' a')
    const spaced = await load(asSpm(source))
    expect(spaced.encode('a', { addSpecialTokens: false })).toEqual([spaced.idOf('▁a')])
    expect(spaced.decode([spaced.idOf('▁a')!])).toBe('a')
  })

  it('finds user-defined tokens in the text, and makes no unused ones', async () => {
    const metadata = asSpm(source)
    const tokens = [...(metadata.get('tokenizer.ggml.tokens') as string[]), '<think>', 'bca']
    metadata.set('tokenizer.ggml.tokens', tokens)
    metadata.set(
      'tokenizer.ggml.scores',
      Float32Array.of(...(metadata.get('tokenizer.ggml.scores') as Float32Array), 0, 0),
    )
    const types = metadata.get('tokenizer.ggml.token_type') as Int32Array
    metadata.set('tokenizer.ggml.token_type', Int32Array.of(...types, USER_DEFINED, UNUSED))
    const tokenizer = await load(metadata)
    const think = tokens.length - 2
    const ids = tokenizer.encode('a<think>bca', { addSpecialTokens: false })
    expect(ids).toContain(think)
    expect(ids).not.toContain(think + 1)
    // Not special: it is part of the answer's text.
    expect(tokenizer.decode([think])).toBe('<think>')
  })

  it('names its special tokens', () => {
    expect(ggufTokenizer(asSpm(source, { padding_token_id: 0xffff_ffff, bos_token_id: -1 })).config).toEqual({
      add_bos_token: true,
      add_eos_token: false,
      bos_token: '<s>',
      eos_token: '</s>',
      unk_token: '<unk>',
      clean_up_tokenization_spaces: false,
    })
    const named = asSpm(source, { bos_token_id: 2, eos_token_id: 1, unknown_token_id: 0, padding_token_id: 2 })
    expect(ggufTokenizer(named).config).toMatchObject({ bos_token: '</s>', eos_token: '<s>', pad_token: '</s>' })
  })

  it('hands on the chat template', async () => {
    const metadata = asSpm(source).set(
      'tokenizer.chat_template',
      '{{ bos_token }}{% for m in messages %}[{{ m.role }}] {{ m.content }}{{ eos_token }}{% endfor %}',
    )
    const template = await findChatTemplate(ggufTokenizer(metadata).config, undefined)
    expect(template!.render([{ role: 'user', content: 'hi' }])).toBe('<s>[user] hi</s>')
    expect(await findChatTemplate(ggufTokenizer(asSpm(source)).config, undefined)).toBeUndefined()
    metadata.set('tokenizer.chat_template.tool_use', '{{ tools[0] }}')
    const both = await findChatTemplate(ggufTokenizer(metadata).config, undefined)
    expect(both!.render([{ role: 'user', content: 'hi' }], { tools: [{}] })).toBe('{}')
    expect(both!.render([{ role: 'user', content: 'hi' }])).toBe('<s>[user] hi</s>')
  })

  it('needs scores that say what to join first', () => {
    const metadata = asSpm(source)
    metadata.set('tokenizer.ggml.scores', new Float32Array(1000))
    expect(() => ggufTokenizer(metadata)).toThrow(badFile)
    metadata.set('tokenizer.ggml.scores', new Float32Array((metadata.get('tokenizer.ggml.tokens') as string[]).length))
    expect(() => ggufTokenizer(metadata)).toThrow(naming('score'))
    metadata.delete('tokenizer.ggml.scores')
    expect(() => ggufTokenizer(metadata)).toThrow(badFile)
  })
})

describe('a byte-level vocabulary', () => {
  const source = byteLevelTokenizer()

  it('gives the ids of the tokenizer.json that it was made of', async () => {
    const original = await loadTokenizer(source, undefined)
    const bos = source.added_tokens[0]!.id
    const tokenizer = await load(asGpt2(source, 'llama-bpe', { bos_token_id: bos }))
    expect(tokenizer.vocabSize).toBe(original.vocabSize)
    expect(tokenizer.specialIds).toEqual(original.specialIds)
    for (const text of [...texts(), 'hello world 123  <think>日🙂<|end|>']) {
      const ids = original.encode(text)
      expect(tokenizer.encode(text)).toEqual(ids)
      expect(tokenizer.decode(ids)).toBe(original.decode(ids))
    }
  })

  /** A vocabulary in which cuts show: bytes and all pairs of them, joined wherever no cut lies between. */
  const bytes = byteAlphabet().filter((byte) => spell("1234's +eé\u0301").includes(byte))
  const pairs = bytes.flatMap((a) => bytes.map((b): [string, string] => [a, b]))
  const names = [...bytes, ...pairs.map((pair) => pair.join(''))]
  const cutting: Source = {
    added_tokens: [],
    model: { vocab: Object.fromEntries(names.map((name, id) => [name, id])), merges: pairs },
  }
  const cutAs = async (pre: string, text: string): Promise<string[]> => {
    const tokenizer = await load(asGpt2(cutting, pre, { add_bos_token: false }))
    return tokenizer.encode(text).map((id) => names[id]!)
  }

  it.each([
    ['gpt-2', ['12', '34', "'s", 'Ġ1', '2', '+', 'Ġ']],
    ['smollm', ['1', '2', '3', '4', "'s", 'Ġ', '1', '2', '+', 'Ġ']],
    ['qwen2', ['1', '2', '3', '4', "'s", 'Ġ', '1', '2', '+', 'Ġ']],
    ['llama-bpe', ['12', '3', '4', "'s", 'Ġ', '12', '+', 'Ġ']],
    ['default', ['12', '3', '4', "'", 's', 'Ġ', '12', '+', 'Ġ']],
  ])('cuts text the way of %s', async (pre, expected) => {
    expect(await cutAs(pre, "1234's 12+ ")).toEqual(expected)
  })

  it('composes characters for qwen2 alone', async () => {
    expect((await cutAs('qwen2', 'e\u0301')).join('')).toBe(spell('é'))
    expect((await cutAs('gpt-2', 'e\u0301')).join('')).toBe(spell('e\u0301'))
  })

  it('adds BOS by default only for Llama 3', async () => {
    const [first] = source.added_tokens
    const begins = async (pre: string, extra: Record<string, unknown> = {}) => {
      const tokenizer = await load(asGpt2(source, pre, { bos_token_id: first!.id, ...extra }))
      return tokenizer.encode('he')[0] === first!.id
    }
    expect(await begins('llama-bpe')).toBe(true)
    expect(await begins('llama-bpe', { add_bos_token: false })).toBe(false)
    expect(await begins('gpt-2')).toBe(false)
    expect(await begins('gpt-2', { add_bos_token: true })).toBe(true)
    expect(() => ggufTokenizer(asGpt2(source, 'llama-bpe'))).toThrow(badFile)
  })

  it('takes whole tokens without merging only for Llama 3', async () => {
    const whole: Source = {
      added_tokens: [],
      model: { vocab: { a: 0, b: 1, ab: 2, aba: 3 }, merges: [['a', 'b']] },
    }
    const ids = async (pre: string) => (await load(asGpt2(whole, pre, { add_bos_token: false }))).encode('aba')
    expect(await ids('llama-bpe')).toEqual([3])
    expect(await ids('gpt-2')).toEqual([2, 0])
  })

  it('refuses, by name, ways of cutting that it does not know', () => {
    expect(() => ggufTokenizer(asGpt2(source, 'superbpe'))).toThrow(naming('"superbpe"'))
    expect(() => ggufTokenizer(asGpt2(source, 'toString'))).toThrow(naming('"toString"'))
    const old = asGpt2(source, 'gpt-2')
    old.delete('tokenizer.ggml.pre')
    expect(() => ggufTokenizer(old)).toThrow(naming('tokenizer.ggml.pre'))
  })

  it.each([[['he']], [[' he']], [['x y']], [['']], [[1]]])('refuses the merges %j', (merges) => {
    expect(() => ggufTokenizer(asGpt2(source, 'gpt-2').set('tokenizer.ggml.merges', merges))).toThrow(badFile)
  })
})

describe('what is refused of either', () => {
  const good = () => asGpt2(byteLevelTokenizer(), 'gpt-2')
  it.each(['bert', 't5', 'rwkv', 'none', 'no_vocab', 'plamo2'])('the kind %s, by name', (model) => {
    expect(() => ggufTokenizer(good().set('tokenizer.ggml.model', model))).toThrow(naming(`"${model}"`))
  })

  it.each<[string, string, unknown]>([
    ['a kind that is no text', 'model', 2],
    ['no tokens', 'tokens', []],
    ['tokens that are no text', 'tokens', [1, 2]],
    ['tokens that are numbers', 'tokens', Int32Array.of(1)],
    ['a token twice', 'tokens', ['a', 'a']],
    ['types of another number', 'token_type', Int32Array.of(1, 2)],
    ['types that are text', 'token_type', ['1']],
    ['types that are bigints', 'token_type', new BigInt64Array(270)],
    ['an id outside the vocabulary', 'bos_token_id', 5000],
    ['an id that is text', 'eos_token_id', 'a'],
    ['a fractional id', 'eos_token_id', 0.5],
    ['a switch that is a number', 'add_bos_token', 1],
    ['a missing EOS that is to be added', 'add_eos_token', true],
  ])('%s', (_name, key, value) => {
    expect(() => ggufTokenizer(good().set(`tokenizer.ggml.${key}`, value))).toThrow(badFile)
  })

  it('nothing at all', () => {
    expect(() => ggufTokenizer(new Map())).toThrow(badFile)
    expect(() => ggufTokenizer(good().set('tokenizer.chat_template', 5))).toThrow(badFile)
  })

  it('but not an empty token, which text can never be', async () => {
    const metadata = good()
    metadata.set('tokenizer.ggml.tokens', [...(metadata.get('tokenizer.ggml.tokens') as string[]), ''])
    metadata.delete('tokenizer.ggml.token_type')
    expect((await load(metadata)).encode('hello')).toHaveLength(1)
  })
})

describe('the tokenizer of Pebble, as a GGUF file would have it', () => {
  it('gives the same ids', async () => {
    const folder = new URL('../../public/models/pebble/', import.meta.url)
    const source = readJson(new URL('tokenizer.json', folder)) as Source
    const original = await loadTokenizer(source, readJson(new URL('tokenizer_config.json', folder)))
    const tokenizer = await load(asGpt2(source, 'gpt-2', { bos_token_id: 0, eos_token_id: 0, add_bos_token: true }))
    expect(tokenizer.specialIds).toEqual(original.specialIds)
    for (const text of texts()) {
      const ids = original.encode(text)
      expect(tokenizer.encode(text)).toEqual(ids)
      expect(tokenizer.decode(ids)).toBe(original.decode(ids))
    }
  })
})

describe.skipIf(!existsSync(shared))('tokenizers beside their originals', () => {
  const original = (name: string) => {
    const folder = new URL(`models/${name}/`, shared)
    const source = readJson(new URL('tokenizer.json', folder))
    return { source: source as Source, config: readJson(new URL('tokenizer_config.json', folder)) }
  }

  it('stories260K.gguf gives the ids of its tokenizer.json', async () => {
    const { source, config } = original('stories260k')
    const file = new Uint8Array(readFileSync(fileURLToPath(new URL('models/stories260k/stories260K.gguf', shared))))
    const tokenizer = await load(new Map(parseGguf(file, file.length)!.metadata))
    const twin = await loadTokenizer(source, config)
    expect(tokenizer.vocabSize).toBe(twin.vocabSize)
    expect(tokenizer.specialIds).toEqual(twin.specialIds)
    for (const text of texts()) {
      const ids = twin.encode(text)
      expect(tokenizer.encode(text)).toEqual(ids)
      expect(tokenizer.decode(ids)).toBe(twin.decode(ids))
    }
  })

  it('tinystories-656k with scores for merges gives the ids of its tokenizer.json', async () => {
    const { source, config } = original('tinystories-656k')
    const tokenizer = await load(asSpm(source))
    const twin = await loadTokenizer(source, config)
    expect(tokenizer.specialIds).toEqual(twin.specialIds)
    // Its special tokens are found after spaces were replaced, which a GGUF file cannot say.
    const plain = texts().filter((text) => !text.includes('<unk>'))
    for (const text of plain) expect(tokenizer.encode(text)).toEqual(twin.encode(text))
  })
})
