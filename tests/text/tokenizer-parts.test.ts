import { Tokenizer } from '@huggingface/tokenizers'
import { describe, expect, it } from 'vitest'
import { adaptDecoder, adaptNormalizer, adaptPostProcessor, adaptPreTokenizer } from '../../src/text/tokenizer-parts.js'
import { spell } from './small-tokenizers.js'

const nothing = { normalizer: null, pre_tokenizer: null, post_processor: null, decoder: null, added_tokens: [] }
const model = { type: 'BPE', vocab: { a: 0 }, merges: [] }

function cut(part: Record<string, unknown>, text: string): string[] {
  const tokenizer = new Tokenizer({ ...nothing, model, pre_tokenizer: adaptPreTokenizer(part) }, {})
  return tokenizer.pre_tokenizer!(text, { section_index: 0 }) as string[]
}

function normalize(part: Record<string, unknown>, text: string): string {
  const tokenizer = new Tokenizer({ ...nothing, model, normalizer: adaptNormalizer(part) }, {})
  return tokenizer.normalizer!(text) as string
}

function decode(part: Record<string, unknown>, tokens: string[]): string {
  const tokenizer = new Tokenizer({ ...nothing, model, decoder: adaptDecoder(part) }, {})
  return tokenizer.decoder!(tokens) as string
}

describe('pre-tokenizers cut as the Rust crate does', () => {
  // The example of the crate's own documentation of SplitDelimiterBehavior.
  const text = 'the-final--countdown'
  it.each([
    ['Removed', false, ['the', 'final', 'countdown']],
    ['Removed', true, ['-', '-', '-']],
    ['Isolated', false, ['the', '-', 'final', '-', '-', 'countdown']],
    ['Isolated', true, ['the', '-', 'final', '-', '-', 'countdown']],
    ['MergedWithPrevious', false, ['the-', 'final-', '-', 'countdown']],
    ['MergedWithNext', false, ['the', '-final', '-', '-countdown']],
    ['Contiguous', false, ['the', '-', 'final', '--', 'countdown']],
  ])('Split %s, invert %s', (behavior, invert, pieces) => {
    expect(cut({ type: 'Split', pattern: { String: '-' }, behavior, invert }, text)).toEqual(pieces)
    expect(cut({ type: 'Split', pattern: { Regex: '-|\\+' }, behavior, invert }, text)).toEqual(pieces)
  })

  it('Split in a form that cannot be rewritten is refused', () => {
    const split = { type: 'Split', pattern: { Regex: '(-)' }, invert: true }
    expect(() => cut({ ...split, behavior: 'MergedWithNext' }, text)).toThrow('MergedWithNext')
    expect(() => cut({ ...split, behavior: 'MergedWithPrevious' }, text)).toThrow('MergedWithPrevious')
    expect(() => cut({ ...split, behavior: 'Removed', invert: false }, text)).toThrow('captured group')
    expect(() => cut({ ...split, behavior: 'Sideways' }, text)).toThrow('malformed')
  })

  it('Metaspace cuts before every ▁ unless told not to, and reads both spellings of its prefix option', () => {
    expect(cut({ type: 'Metaspace' }, 'a  b')).toEqual(['▁a', '▁', '▁b'])
    expect(cut({ type: 'Metaspace', split: false }, 'a  b')).toEqual(['▁a▁▁b'])
    expect(cut({ type: 'Metaspace', add_prefix_space: false }, 'a b')).toEqual(['a', '▁b'])
    expect(cut({ type: 'Metaspace', prepend_scheme: 'never' }, 'a b')).toEqual(['a', '▁b'])
    const late = {
      type: 'Sequence',
      pretokenizers: [{ type: 'Digits' }, { type: 'Metaspace', prepend_scheme: 'first' }],
    }
    expect(() => cut(late, 'a')).toThrow('prepend_scheme "first"')
  })

  it('ByteLevel puts a space in front by default, and takes U+FEFF for no space', () => {
    expect(cut({ type: 'ByteLevel' }, 'ab 1')).toEqual(['Ġab', 'Ġ1'])
    expect(cut({ type: 'ByteLevel' }, ' ab')).toEqual(['Ġab'])
    expect(cut({ type: 'ByteLevel' }, ' ')).toEqual(['Ġ'])
    expect(cut({ type: 'ByteLevel' }, 'a🙂')).toEqual(['Ġa', spell('🙂')])
    expect(cut({ type: 'ByteLevel', add_prefix_space: false }, 'ab  c')).toEqual(['ab', 'Ġ', 'Ġc'])
    expect(cut({ type: 'ByteLevel', add_prefix_space: false, use_regex: false }, 'ab 1')).toEqual(['abĠ1'])
    expect(cut({ type: 'ByteLevel', add_prefix_space: false }, '!\uFEFF')).toEqual(['!ï»¿'])
  })

  it('Digits, Punctuation and the two kinds of Whitespace follow Unicode', () => {
    expect(cut({ type: 'Digits', individual_digits: true }, 'x²34')).toEqual(['x', '²', '3', '4'])
    expect(cut({ type: 'Digits', individual_digits: false }, 'x²34')).toEqual(['x', '²34'])
    expect(cut({ type: 'Punctuation' }, 'a!?¿')).toEqual(['a', '!', '?', '¿'])
    expect(cut({ type: 'Punctuation', behavior: 'Contiguous' }, 'a!?')).toEqual(['a', '!?'])
    expect(cut({ type: 'Whitespace' }, 'crêpe, 3')).toEqual(['crêpe', ',', '3'])
    expect(cut({ type: 'WhitespaceSplit' }, ' a,  b ')).toEqual(['a,', 'b'])
  })
})

describe('normalizers', () => {
  it('Prepend leaves an empty text empty', () => {
    const strip = { type: 'Strip', strip_left: true, strip_right: true }
    const both = { type: 'Sequence', normalizers: [strip, { type: 'Prepend', prepend: '▁' }] }
    expect(normalize(both, '  ')).toBe('')
    expect(normalize(both, ' a\nb')).toBe('▁a\nb')
    expect(normalize(both, 'a🙂')).toBe('▁a🙂')
    expect(normalize({ type: 'Prepend', prepend: '$1' }, 'a')).toBe('$1a')
  })

  it('Replace takes its content literally', () => {
    expect(normalize({ type: 'Replace', pattern: { String: 'a' }, content: '$&$$' }, 'ab')).toBe('$&$$b')
  })
})

describe('decoders', () => {
  it('Metaspace keeps a first space that it did not put there', () => {
    expect(decode({ type: 'Metaspace', replacement: '▁', prepend_scheme: 'never' }, ['▁a', '▁b'])).toBe(' a b')
    expect(decode({ type: 'Metaspace', replacement: '▁', add_prefix_space: true }, ['▁a', '▁b'])).toBe('a b')
  })
})

describe('post-processors', () => {
  it('turns those of BERT and RoBERTa into templates', () => {
    const roberta = { type: 'RobertaProcessing', cls: ['<s>', 0], sep: ['</s>', 2] }
    const tokenizer = new Tokenizer({ ...nothing, model, post_processor: adaptPostProcessor(roberta) }, {})
    expect(tokenizer.encode('a').tokens).toEqual(['<s>', 'a', '</s>'])
  })

  it('refuses what it does not know', () => {
    expect(() => adaptPostProcessor({ type: 'Other' })).toThrow('"Other"')
    expect(() => adaptPostProcessor({ type: 'BertProcessing', cls: 1 })).toThrow('malformed')
  })
})
