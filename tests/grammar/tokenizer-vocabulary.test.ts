import { existsSync, readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { describe, expect, it } from 'vitest'
import { createConstraint, fromJsonSchema, parseGbnf, tokenizerVocabulary } from '../../src/grammar/index.js'
import { StreamDecoder } from '../../src/text/stream-decoder.js'
import { loadTokenizer } from '../../src/text/tokenizer.js'
import { Prng } from '../fixtures/prng.js'
import { allowed, bitOf } from './texts.js'
import { isValid } from './validator.js'

const folderOf = (path: string) => fileURLToPath(new URL(path, import.meta.url))
const MODELS = [
  ['pebble', folderOf('../../public/models/pebble')],
  ['stories260k', folderOf('../../../shared/models/stories260k')],
] as const

const SCHEMA = {
  type: 'object',
  properties: {
    name: { type: 'string', maxLength: 12 },
    kind: { enum: ['cat', 'Größe', '日本'] },
    age: { type: 'integer', minimum: 0, maximum: 30 },
    tags: { type: 'array', items: { type: 'boolean' }, maxItems: 3 },
  },
  required: ['name', 'kind', 'age'],
}

const TINY = folderOf('../../../shared/models/tinystories-656k')

// Its vocabulary has letters and little else.
it.skipIf(!existsSync(TINY))('says so where the vocabulary of tinystories-656k has no braces', async () => {
  const tokenizer = await loadTokenizer(JSON.parse(readFileSync(`${TINY}/tokenizer.json`, 'utf8')), undefined)
  const vocabulary = tokenizerVocabulary(tokenizer, [2])
  expect(() => createConstraint(fromJsonSchema(SCHEMA), vocabulary)).toThrow(/cannot write/)
  const constraint = createConstraint(parseGbnf('root ::= "{" | " cat" | " Größe" | " 日本"'), vocabulary)
  const bytes: number[] = []
  for (let id = -1; id !== 2; ) {
    id = allowed(constraint.mask(), vocabulary.size)[0]!
    constraint.accept(id)
    if (id !== 2) bytes.push(...vocabulary.bytes(id)!)
  }
  expect(new TextDecoder().decode(Uint8Array.from(bytes))).toBe(' cat')
})

describe.each(MODELS)('the vocabulary of %s', (_, folder) => {
  const load = async () => loadTokenizer(JSON.parse(readFileSync(`${folder}/tokenizer.json`, 'utf8')), undefined)

  it.skipIf(!existsSync(folder))('writes valid JSON under a mask, as it is streamed after a prompt', async () => {
    const tokenizer = await load()
    const stop = [...tokenizer.specialIds].at(-1)!
    // Wider than the tokenizer, as models are that pad their output layer.
    const vocabulary = tokenizerVocabulary(tokenizer, [stop], tokenizer.vocabSize + 70)
    const grammar = fromJsonSchema(SCHEMA)
    const context = tokenizer.encode('Once upon')
    for (let seed = 0; seed < 40; seed++) {
      const random = new Prng(seed)
      const constraint = createConstraint(grammar, vocabulary)
      const decoder = new StreamDecoder(tokenizer, { context })
      let text = ''
      for (let step = 0; ; step++) {
        expect(step).toBeLessThan(400)
        const mask = constraint.mask()
        expect(mask.length).toBe(Math.ceil((tokenizer.vocabSize + 70) / 32))
        const may = allowed(mask, vocabulary.size)
        expect(may.at(-1)).toBeLessThan(tokenizer.vocabSize)
        const id = may[random.below(may.length)]!
        constraint.accept(id)
        if (id === stop) break
        text += decoder.push(id)
      }
      expect(isValid(SCHEMA, JSON.parse(text))).toBe(true)
    }
  })

  it.skipIf(!existsSync(folder))('begins with a space just where the grammar does', async () => {
    const tokenizer = await load()
    const vocabulary = tokenizerVocabulary(tokenizer, [[...tokenizer.specialIds].at(-1)!])
    const first = (gbnf: string) => {
      const mask = createConstraint(parseGbnf(gbnf), vocabulary).mask()
      return new Set(allowed(mask, vocabulary.size).map((id) => vocabulary.bytes(id)![0]))
    }
    expect(first('root ::= " once"')).toEqual(new Set([0x20]))
    expect(first('root ::= "once"')).toEqual(new Set([0x6f]))
  })

  it.skipIf(!existsSync(folder))("allows the tokenizer's own cut of a text", async () => {
    const tokenizer = await load()
    const stop = [...tokenizer.specialIds].at(-1)!
    const vocabulary = tokenizerVocabulary(tokenizer, [stop])
    const text = '{"name": "Zoë 🙂", "kind": "Größe", "age": 7, "tags": [true, false]}'
    const ids = tokenizer.encode(text, { addSpecialTokens: false })
    // A tokenizer that puts a space in front of texts gives a first token that begins with it.
    const constraint = createConstraint(fromJsonSchema(SCHEMA), vocabulary)
    const own = vocabulary.bytes(ids[0]!)![0] === 0x20 ? tokenizer.encode(`x${text}`, { addSpecialTokens: false }) : ids
    const start = own === ids ? 0 : own.findIndex((id) => vocabulary.bytes(id)![0] === 0x7b)
    for (const id of own.slice(start)) {
      expect(bitOf(constraint.mask(), id)).toBe(true)
      constraint.accept(id)
    }
    expect(bitOf(constraint.mask(), stop)).toBe(true)
  })
})
