import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { loadTokenizer } from '../../src/text/tokenizer.js'
import { byteLevelTokenizer, spell, spmTokenizer } from './small-tokenizers.js'

/** Ids from the spelling of tokens, with `|` between them. */
async function loaded(json: { model: { vocab: Record<string, number> } }, config?: unknown) {
  const tokenizer = await loadTokenizer(json, config)
  const ids = (tokens: string) => tokens.split('|').map((token) => tokenizer.idOf(token))
  return { tokenizer, ids }
}

const anyText = fc.string({ unit: 'binary', maxLength: 40 })

describe('byte-level BPE', () => {
  it('cuts by the pattern, merges by rank, and adds BOS by its key in the template', async () => {
    const { tokenizer, ids } = await loaded(byteLevelTokenizer())
    expect(tokenizer.encode('hello world')).toEqual([tokenizer.idOf('<|begin|>'), ...ids('hello|Ġwo|r|l|d')])
    expect(tokenizer.encode('12312', { addSpecialTokens: false })).toEqual(ids('123|12'))
    expect(tokenizer.encode("HE'LL", { addSpecialTokens: false })).toEqual(ids("H|E|'|L|L"))
    expect(tokenizer.encode('a   wo', { addSpecialTokens: false })).toEqual(ids('a|ĠĠ|Ġwo'))
    expect(tokenizer.encode('')).toEqual([tokenizer.idOf('<|begin|>')])
  })

  it('finds written-out special tokens, and leaves them out of the text unless asked', async () => {
    const { tokenizer } = await loaded(byteLevelTokenizer())
    const ids = tokenizer.encode('<|begin|>he<think><|end|>', { addSpecialTokens: false })
    expect(ids.map((id) => tokenizer.specialIds.has(id))).toEqual([true, false, false, true])
    expect(tokenizer.decode(ids)).toBe('he<think>')
    expect(tokenizer.decode(ids, { skipSpecialTokens: false })).toBe('<|begin|>he<think><|end|>')
  })

  it('gives no text for no ids and for ids outside the vocabulary', async () => {
    const { tokenizer } = await loaded(byteLevelTokenizer())
    expect(tokenizer.decode([])).toBe('')
    expect(tokenizer.decode([tokenizer.vocabSize, -1, tokenizer.idOf('he')!])).toBe('he')
  })

  it('never cleans spaces up, whatever the config says', async () => {
    const { tokenizer } = await loaded(byteLevelTokenizer(), { clean_up_tokenization_spaces: true })
    expect(tokenizer.decode(tokenizer.encode("a . b n't"))).toBe("a . b n't")
  })

  it('treats special tokens that only tokenizer_config.json names as one token', async () => {
    const json = byteLevelTokenizer()
    const config = {
      eos_token: { content: 'hello' },
      added_tokens_decoder: { '999': { content: '<x>', special: true } },
    }
    const { tokenizer } = await loaded(json, config)
    expect(tokenizer.specialIds).toContain(tokenizer.idOf('hello'))
    expect(tokenizer.encode('ahello<x>', { addSpecialTokens: false })).toEqual([
      ...[tokenizer.idOf('a'), tokenizer.idOf('hello')],
      999,
    ])
    expect(tokenizer.vocabSize).toBe(1000)
  })

  it('gives every text back', async () => {
    const { tokenizer } = await loaded(byteLevelTokenizer())
    fc.assert(
      fc.property(anyText, (text) => {
        expect(tokenizer.decode(tokenizer.encode(text))).toBe(text)
      }),
    )
  })

  it('replaces a truncated character once', async () => {
    const { tokenizer } = await loaded(byteLevelTokenizer())
    const ids = [...spell('🙂')].slice(0, 3).map((c) => tokenizer.idOf(c)!)
    expect(tokenizer.decode(ids)).toBe('\uFFFD')
  })
})

describe('SentencePiece-style BPE', () => {
  it('writes spaces as ▁, and unknown characters as bytes', async () => {
    const { tokenizer, ids } = await loaded(spmTokenizer({ byteFallback: true }))
    expect(tokenizer.encode('abc  é日')).toEqual(ids('<s>|▁abc|▁▁|é|<0xE6>|<0x97>|<0xA5>'))
    expect(tokenizer.encode('')).toEqual([1])
    expect(tokenizer.encode('<s>a', { addSpecialTokens: false })).toEqual(ids('<s>|▁a'))
  })

  it('fuses unknown characters into one unknown token where there are no byte tokens', async () => {
    const { tokenizer, ids } = await loaded(spmTokenizer({ byteFallback: false }))
    expect(tokenizer.encode('日本a語')).toEqual(ids('<s>|▁|<unk>|a|<unk>'))
  })

  it('does not fuse the unknown tokens of neighbouring pre-tokens', async () => {
    const json = spmTokenizer({ byteFallback: false })
    json.pre_tokenizer = { type: 'Split', pattern: { String: '本' }, behavior: 'Isolated', invert: false }
    const { tokenizer, ids } = await loaded(json)
    expect(tokenizer.encode('日本語')).toEqual(ids('<s>|▁|<unk>|<unk>|<unk>'))
  })

  it('looks for normalized added tokens in normalised form', async () => {
    const { tokenizer, ids } = await loaded(spmTokenizer({ byteFallback: true, normalizedAdded: true }))
    expect(tokenizer.encode('<s>', { addSpecialTokens: false })).toEqual([1])
    expect(tokenizer.encode('a</s>', { addSpecialTokens: false })).toEqual(ids('▁a|<0x3C>|<0x2F>|<0x73>|<0x3E>'))
    expect(tokenizer.encode('a </s>', { addSpecialTokens: false })).toEqual(ids('▁a|</s>'))
  })

  it('keeps a byte order mark that is written in bytes', async () => {
    const { tokenizer } = await loaded(spmTokenizer({ byteFallback: true }))
    expect(tokenizer.decode(tokenizer.encode('\uFEFFa'))).toBe('\uFEFFa')
  })

  it('gives every text back, but for ▁, which means a space', async () => {
    const { tokenizer } = await loaded(spmTokenizer({ byteFallback: true }))
    fc.assert(
      fc.property(anyText, (text) => {
        expect(tokenizer.decode(tokenizer.encode(text))).toBe(text.replaceAll('▁', ' '))
      }),
    )
  })
})

describe('a tokenizer.json that cannot be used', () => {
  const bpe = byteLevelTokenizer()

  it.each([
    ['no object', 'text'],
    ['no model', {}],
    ['no vocabulary', { ...bpe, model: { ...bpe.model, vocab: undefined } }],
    ['an id that is no number', { ...bpe, model: { ...bpe.model, vocab: { a: 'b' } } }],
    ['no merges', { ...bpe, model: { ...bpe.model, merges: undefined } }],
    ['a merge outside the vocabulary', { ...bpe, model: { ...bpe.model, merges: [['x', 'y']] } }],
    ['added tokens that are no list', { ...bpe, added_tokens: {} }],
    ['an added token without id', { ...bpe, added_tokens: [{ content: 'x' }] }],
    ['a malformed normalizer', { ...bpe, normalizer: { type: 'Replace', pattern: 1, content: '' } }],
    ['a malformed decoder', { ...bpe, decoder: { type: 'Sequence' } }],
    ['a malformed template', { ...bpe, post_processor: { type: 'TemplateProcessing' } }],
  ])('%s is a bad file', async (_, json) => {
    await expect(loadTokenizer(json, undefined)).rejects.toMatchObject({ code: 'bad-file' })
  })

  it.each([
    ['WordPiece', { ...bpe, model: { type: 'WordPiece', vocab: {} } }],
    ['Precompiled', { ...bpe, normalizer: { type: 'Precompiled', precompiled_charsmap: '' } }],
    ['UnicodeScripts', { ...bpe, pre_tokenizer: { type: 'UnicodeScripts' } }],
    ['CTC', { ...bpe, decoder: { type: 'CTC' } }],
    ['single_word', { ...bpe, added_tokens: [{ id: 1, content: 'x', single_word: true }] }],
    ['continuing_subword_prefix', { ...bpe, model: { ...bpe.model, continuing_subword_prefix: '##' } }],
    ['JavaScript cannot compile', { ...bpe, normalizer: { type: 'Replace', pattern: { Regex: '(' }, content: '' } }],
  ])('%s is unsupported by name', async (name, json) => {
    const error = await loadTokenizer(json, undefined).then(
      () => undefined,
      (e: unknown) => e,
    )
    expect(error).toMatchObject({ code: 'unsupported', message: expect.stringContaining(name) })
  })
})
