import { existsSync, readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { loadTokenizer, type TextTokenizer } from '../../src/text/tokenizer.js'
import { byteLevelTokenizer, spmTokenizer } from './small-tokenizers.js'

const read = (path: string): unknown => JSON.parse(readFileSync(fileURLToPath(new URL(path, import.meta.url)), 'utf8'))
const shared = fileURLToPath(new URL('../../../shared/models', import.meta.url))

/** Metaspace at both ends, as Llama tokenizers are written since 2024. */
function metaspaceTokenizer() {
  const metaspace = { type: 'Metaspace', replacement: '▁', prepend_scheme: 'first', split: false }
  const byteFallback = { type: 'Sequence', decoders: [{ type: 'ByteFallback' }, metaspace] }
  return { ...spmTokenizer({ byteFallback: true }), normalizer: null, pre_tokenizer: metaspace, decoder: byteFallback }
}

function joinedBytes(tokenizer: TextTokenizer, ids: readonly number[]): Uint8Array {
  return Uint8Array.from(ids.flatMap((id) => [...(tokenizer.tokenBytes(id) ?? [])]))
}

const TEXTS = [
  '',
  'hello world',
  ' a  b\n\tc',
  'abc defg 123',
  'Grüße, 日本語 — 🙂👩‍👩‍👧 العربية',
  'naïve ﷺ\u0000\u007f\u2028',
  '{"a": [1, 2], "é": null}',
  '\uFEFFx\uFEFF',
  '<think>a</think>',
  '<0x41> ▁ Ġ',
]

/** `prefixed`: a space was put in front of the text when it was encoded, and is taken off when it is decoded. */
async function expectBytes(tokenizer: TextTokenizer, prefixed: boolean): Promise<void> {
  const check = (text: string, original: boolean) => {
    const ids = tokenizer.encode(text, { addSpecialTokens: false })
    const decoded = new TextDecoder('utf-8', { ignoreBOM: true }).decode(joinedBytes(tokenizer, ids))
    expect(prefixed ? decoded.replace(/^ /, '') : decoded).toBe(tokenizer.decode(ids))
    // As it was written: but for tokenizers that have a spelling for spaces, where the text may contain that.
    if (original) expect(tokenizer.decode(ids)).toBe(text)
  }
  for (const text of TEXTS) check(text, !prefixed)
  fc.assert(fc.property(fc.string({ unit: 'binary', maxLength: 20 }), (text) => check(text, !prefixed)))
}

describe('tokenBytes', () => {
  it('is what byte-level tokens stand for', async () => {
    const tokenizer = await loadTokenizer(byteLevelTokenizer(), undefined)
    const textOf = (token: string) => new TextDecoder().decode(tokenizer.tokenBytes(tokenizer.idOf(token)!))
    expect(textOf('Ġwo')).toBe(' wo')
    expect(textOf('<think>')).toBe('<think>')
    expect(tokenizer.tokenBytes(tokenizer.idOf('<|begin|>')!)).toBeUndefined()
    expect(tokenizer.tokenBytes(tokenizer.vocabSize)).toBeUndefined()
    const single = Array.from({ length: tokenizer.vocabSize }, (_, id) => tokenizer.tokenBytes(id)).filter(
      (b) => b?.length === 1,
    )
    expect(new Set(single.map((b) => b![0])).size).toBe(256)
    await expectBytes(tokenizer, false)
  })

  it.each([
    ['SentencePiece with Strip', spmTokenizer({ byteFallback: true })],
    ['Metaspace', metaspaceTokenizer()],
  ])('is what pieces of %s stand for', async (_, json) => {
    const tokenizer = await loadTokenizer(json, undefined)
    const bytesOf = (token: string) => [...(tokenizer.tokenBytes(tokenizer.idOf(token)!) ?? [])]
    expect(bytesOf('▁a')).toEqual([0x20, 0x61])
    expect(bytesOf('é')).toEqual([0xc3, 0xa9])
    expect(bytesOf('<0xF0>')).toEqual([0xf0])
    expect(tokenizer.tokenBytes(0)).toBeUndefined()
    await expectBytes(tokenizer, true)
  })

  it('is the text itself of an added token, whatever its characters stand for', async () => {
    const json = byteLevelTokenizer()
    const added = json.added_tokens.map((token) => ({ ...token, content: token.content.replace('think', 'é Ġ') }))
    const tokenizer = await loadTokenizer({ ...json, added_tokens: added }, undefined)
    expect(tokenizer.tokenBytes(tokenizer.idOf('<é Ġ>')!)).toEqual(new TextEncoder().encode('<é Ġ>'))
    expect(tokenizer.decode([tokenizer.idOf('<é Ġ>')!])).toBe('<é Ġ>')
  })

  it('leaves out the unknown token, also where it is not special', async () => {
    const json = spmTokenizer({ byteFallback: false })
    const tokenizer = await loadTokenizer({ ...json, added_tokens: json.added_tokens.slice(1) }, undefined)
    expect(tokenizer.tokenBytes(tokenizer.idOf('<unk>')!)).toBeUndefined()
    expect(tokenizer.tokenBytes(tokenizer.idOf('▁abc')!)).toEqual(new TextEncoder().encode(' abc'))
  })

  it('fits Pebble', async () => {
    const tokenizer = await loadTokenizer(read('../../public/models/pebble/tokenizer.json'), undefined)
    await expectBytes(tokenizer, false)
  })

  it.skipIf(!existsSync(shared)).each(['stories260k', 'tinystories-656k'])('fits %s', async (name) => {
    const tokenizer = await loadTokenizer(
      read(`../../../shared/models/${name}/tokenizer.json`),
      read(`../../../shared/models/${name}/tokenizer_config.json`),
    )
    await expectBytes(tokenizer, true)
  })

  it.each([
    null,
    { type: 'BPEDecoder', suffix: '</w>' },
    { type: 'Sequence', decoders: [{ type: 'Replace', pattern: { String: 'ab' }, content: '' }] },
    { type: 'Sequence', decoders: [{ type: 'Replace', pattern: { Regex: '▁' }, content: ' ' }] },
    { type: 'Sequence', decoders: [{ type: 'Fuse' }, { type: 'Strip', content: ' ', start: 1, stop: 1 }] },
    { type: 'Sequence', decoders: [{ type: 'Strip', content: ' ', start: 1, stop: 0 }, { type: 'Fuse' }] },
    { type: 'Sequence', decoders: [{ type: 'Fuse' }, { type: 'ByteFallback' }] },
    {
      type: 'Sequence',
      decoders: [{ type: 'ByteLevel' }, { type: 'Replace', pattern: { String: 'a' }, content: 'b' }],
    },
  ])('does not guess with the decoder %j', async (decoder) => {
    const tokenizer = await loadTokenizer({ ...byteLevelTokenizer(), decoder }, undefined)
    expect(() => tokenizer.tokenBytes(0)).toThrow(expect.objectContaining({ code: 'unsupported' }))
  })
})
