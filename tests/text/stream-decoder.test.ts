import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { StreamDecoder } from '../../src/text/stream-decoder.js'
import { loadTokenizer, type TextTokenizer } from '../../src/text/tokenizer.js'
import { byteLevelTokenizer, spell, spmTokenizer } from './small-tokenizers.js'

interface Options {
  context?: readonly number[]
  shown?: ReadonlySet<number>
}

/** All pieces, what flush gives last. */
function stream(tokenizer: TextTokenizer, ids: readonly number[], options: Options = {}): string[] {
  const decoder = new StreamDecoder(tokenizer, options)
  return [...ids.map((id) => decoder.push(id)), decoder.flush()]
}

/** Metaspace at both ends, as Llama tokenizers are written since 2024. */
function metaspaceTokenizer() {
  const metaspace = { type: 'Metaspace', replacement: '▁', prepend_scheme: 'first', split: false }
  const byteFallback = { type: 'Sequence', decoders: [{ type: 'ByteFallback' }, metaspace] }
  return { ...spmTokenizer({ byteFallback: true }), normalizer: null, pre_tokenizer: metaspace, decoder: byteFallback }
}

const styles = [
  ['byte-level', byteLevelTokenizer()],
  ['SentencePiece', spmTokenizer({ byteFallback: true })],
  ['Metaspace', metaspaceTokenizer()],
] as const

describe.each(styles)('streaming with a %s tokenizer', (_, json) => {
  const load = () => loadTokenizer(json, undefined)

  it('joins to the text of all ids, whatever the ids', async () => {
    const tokenizer = await load()
    const ids = fc.array(fc.nat(tokenizer.vocabSize + 3), { maxLength: 60 })
    fc.assert(
      fc.property(ids, fc.subarray([...tokenizer.specialIds]), (all, special) => {
        const shown = new Set(special)
        const left = all.filter((id) => shown.has(id) || !tokenizer.specialIds.has(id))
        expect(stream(tokenizer, all, { shown }).join('')).toBe(tokenizer.decode(left, { skipSpecialTokens: false }))
      }),
    )
  })

  it('continues the text of its context, whatever the ids', async () => {
    const tokenizer = await load()
    const ids = fc.array(fc.nat(tokenizer.vocabSize + 3), { maxLength: 40 })
    fc.assert(
      fc.property(ids, ids, (context, all) => {
        // A character that the context leaves incomplete is the continuation's to finish.
        const before = tokenizer.decode(context).replace(/\uFFFD$/, '')
        expect(before + stream(tokenizer, all, { context }).join('')).toBe(tokenizer.decode([...context, ...all]))
      }),
    )
  })

  it('never shows part of a character', async () => {
    const tokenizer = await load()
    const text = fc.string({ unit: 'binary', maxLength: 40 }).filter((t) => !t.includes('\uFFFD'))
    fc.assert(
      fc.property(text, (whole) => {
        for (const piece of stream(tokenizer, tokenizer.encode(whole))) {
          expect(piece).not.toContain('\uFFFD')
          expect(() => encodeURIComponent(piece)).not.toThrow() // it does for half of a surrogate pair
        }
      }),
    )
  })

  it('decodes a bounded number of ids a step', async () => {
    const tokenizer = await load()
    let longest = 0
    const counting: TextTokenizer = {
      ...tokenizer,
      decode: (ids, options) => {
        longest = Math.max(longest, ids.length)
        return tokenizer.decode(ids, options)
      },
    }
    const context = tokenizer.encode('abc '.repeat(100))
    const withoutText = Array.from({ length: 50 }, (_, i) =>
      i % 2 ? [...tokenizer.specialIds][0]! : tokenizer.vocabSize + i,
    )
    stream(counting, [...tokenizer.encode('日本 abc '.repeat(50)), ...withoutText], { context })
    stream(counting, withoutText)
    expect(longest).toBeLessThanOrEqual(16)
  })
})

describe('StreamDecoder', () => {
  it('gives a character out with its last byte', async () => {
    const tokenizer = await loadTokenizer(spmTokenizer({ byteFallback: true }), undefined)
    const ids = ['▁a', '<0xE6>', '<0x97>', '<0xA5>', 'b'].map((token) => tokenizer.idOf(token)!)
    expect(stream(tokenizer, ids)).toEqual(['a', '', '', '日', 'b', ''])
  })

  it('gives U+FFFD for a character that ends too early, once that is certain', async () => {
    const tokenizer = await loadTokenizer(byteLevelTokenizer(), undefined)
    const [first, second] = [...spell('🙂')].map((c) => tokenizer.idOf(c)!)
    expect(stream(tokenizer, [first!, second!, tokenizer.idOf('he')!])).toEqual(['', '', '\uFFFDhe', ''])
    expect(stream(tokenizer, [first!, second!])).toEqual(['', '', '\uFFFD'])
  })

  it('keeps the first space after a context, and only then', async () => {
    const tokenizer = await loadTokenizer(spmTokenizer({ byteFallback: true }), undefined)
    const word = tokenizer.idOf('▁abc')!
    expect(stream(tokenizer, [word])).toEqual(['abc', ''])
    expect(stream(tokenizer, [word], { context: [1] })).toEqual(['abc', ''])
    expect(stream(tokenizer, [word], { context: tokenizer.encode('abc') })).toEqual([' abc', ''])
  })

  it('keeps that space behind many ids without text', async () => {
    const config = { added_tokens_decoder: { '999': { content: '<far>' } } } // leaves a gap in the vocabulary
    const tokenizer = await loadTokenizer(spmTokenizer({ byteFallback: true }), config)
    const word = tokenizer.idOf('▁abc')!
    expect(stream(tokenizer, [word, ...new Array<number>(40).fill(998), word]).join('')).toBe('abc abc')
  })

  it('finishes a character that the context began', async () => {
    const tokenizer = await loadTokenizer(byteLevelTokenizer(), undefined)
    const ids = [...spell('🙂')].map((c) => tokenizer.idOf(c)!)
    expect(stream(tokenizer, ids.slice(2), { context: ids.slice(0, 2) })).toEqual(['', '🙂', ''])
  })
})
