import { describe, expect, it } from 'vitest'
import type { GenerateOptions, TextFormat } from '../../src/index.js'
import { adjustLogits } from '../../src/kernels/reference/adjust-logits.js'
import { argmax } from '../../src/kernels/reference/argmax.js'
import { idOf, loadTiny, randomIds } from '../fixtures/tiny-model.js'
import { describeSdk, expectError, generated } from './support.js'

const DATE = /^(19|20)\d\d-[01]\d-[0-3]\d$/
const POINT = {
  type: 'object',
  properties: { ok: { type: 'boolean' }, n: { enum: [1, 22, 333] }, s: { type: 'string', maxLength: 5 } },
  required: ['ok', 'n', 's'],
  additionalProperties: false,
}
const STOP = 2

describeSdk.anywhere('formats', (bench, gpu) => {
  const ids = randomIds(14, 91)
  const run = async (format: TextFormat, options: GenerateOptions = {}) => {
    using session = bench().session()
    const result = await generated(session, ids, { format, ignoreEos: false, maxTokens: 120, ...options })
    return { ...result, kept: [...session.tokens] }
  }

  it.each([0, 1, 2, 3])('a regular expression, seed %d', async (seed) => {
    const { text, end, tokens, kept } = await run({ regex: DATE.source }, { temperature: seed && 1.4, seed })
    expect(text).toMatch(DATE)
    expect(end.finishReason).toBe('stop')
    expect(end.tokens).toEqual(tokens)
    expect(kept).toEqual([...ids, ...tokens])
  })

  it.each([0, 1, 2])('a JSON Schema, seed %d', async (seed) => {
    const { text, end } = await run({ schema: POINT }, { temperature: seed && 1, seed })
    expect(end.finishReason).toBe('stop')
    expect(JSON.parse(text)).toEqual({ ok: expect.any(Boolean), n: expect.any(Number), s: expect.any(String) })
    expect([1, 22, 333]).toContain(JSON.parse(text).n)
  })

  it('a grammar in GBNF', async () => {
    const { text, end } = await run(
      { gbnf: 'root ::= word (" " word){2} "."\nword ::= "da" | "dum"' },
      { temperature: 1 },
    )
    expect(text).toMatch(/^(da|dum)( (da|dum)){2}\.$/)
    expect(end.finishReason).toBe('stop')
  })

  it('any JSON', async () => {
    for (const seed of [1, 2, 3, 4]) {
      const { text, end, tokens } = await run({ json: true }, { temperature: 1, seed, maxTokens: 40 })
      if (end.finishReason === 'stop') JSON.parse(text)
      else expect(tokens).toHaveLength(40)
      expect(text).toMatch(/^\s*([[{"\-\d]|t|f|n)/)
    }
  })

  it('is the beginning of a text where tokens run out', async () => {
    const { text, end } = await run({ regex: '(abc)*' }, { maxTokens: 7, logitBias: { [STOP]: -100 } })
    expect([text, end.finishReason]).toEqual(['abcabca', 'length'])
  })

  it('chooses the best of what is allowed', async () => {
    const { tokens } = await run({ regex: '[0-9]{8}' })
    expect(tokens).toHaveLength(8)
    using session = bench().session()
    for (const [i, token] of tokens.entries()) {
      const rest = [...ids, ...tokens.slice(0, i)].slice(session.tokens.length)
      const { prompt } = await generated(session, rest, { maxTokens: 1, logits: true })
      session.rewind(ids.length + i)
      const allowed = (id: number) => id >= idOf('0') && id <= idOf('9')
      expect(token, `token ${i}`).toBe(argmax(adjustLogits(prompt.logits!, { allowed })))
    }
  })

  it.each([
    { topK: 3, temperature: 3, seed: 9 },
    { topP: 0.2, minP: 0.1, temperature: 0.01, seed: 9 },
    { repetitionPenalty: 9 },
    { repetitionPenalty: 0.1, temperature: 0.5 },
    { presencePenalty: 2, frequencyPenalty: 2 },
    { logitBias: { [idOf('z')]: 100, [STOP]: 100 } },
    { stepsPerSubmit: 8 },
    { logits: true },
  ] as GenerateOptions[])('holds with %o', async (options) => {
    const { text, end } = await run({ regex: '[ab]{12}' }, options)
    expect(text).toMatch(/^[ab]{12}$/)
    expect(end.finishReason).toBe('stop')
  })

  it('is for one call: the conversation goes on without it, and with another', async () => {
    const format = { regex: 'x{4}' }
    using session = bench().session()
    const { tokens } = await generated(session, ids, { format, ignoreEos: false })
    expect(tokens).toEqual(Array(4).fill(idOf('x')))
    const prompt = randomIds(5, 92)
    const plain = await generated(session, prompt, { maxTokens: 9 })
    using fresh = bench().session()
    expect(plain.tokens).toEqual((await generated(fresh, [...ids, ...tokens, ...prompt], { maxTokens: 9 })).tokens)
    const steps = session.generate(prompt, { format: { regex: 'y*' } })
    for await (const step of steps) if (step.kind === 'token') break
    const { text } = await generated(session, prompt, { format, ignoreEos: false })
    expect(text).toBe('xxxx')
  })

  it('ends at a stop string as ever', async () => {
    const { text, end } = await run({ regex: 'abcdef' }, { stop: 'de' })
    expect([text, end.finishReason]).toEqual(['abc', 'stop'])
  })

  it('answers chats', async () => {
    using session = bench().session()
    const messages = [{ role: 'user', content: 'yes or no?' }]
    let text = ''
    for await (const step of session.chat(messages, { format: { regex: 'yes|no' }, temperature: 0 })) text += step.text
    expect(text).toMatch(/^(yes|no)$/)
  })

  it('takes one submit for every token', async () => {
    const { counters } = await bench().engine()
    const before = counters.submits
    await run({ regex: 'x{10}' })
    // The prompt, then nine tokens and the stop token.
    expect(counters.submits - before).toBe(11)
  })

  describe('refuses', () => {
    it.each([
      ['bad-option', {}],
      ['bad-option', 'json'],
      ['bad-option', { json: false }],
      ['bad-option', { json: true, regex: 'x' }],
      ['bad-option', { regex: 3 }],
      ['bad-option', { toString: 'x' }],
      ['bad-option', { regex: '(' }],
      ['bad-option', { gbnf: 'root ::= other' }],
      ['bad-option', { schema: { type: 'nonsense' } }],
      ['unsupported', { regex: '\u672c' }],
    ])('%s: %j', async (code, format) => {
      using session = bench().session()
      await generated(session, ids, { maxTokens: 2 })
      const before = [...session.tokens]
      const options = { format: format as TextFormat, ignoreEos: false }
      await expectError(generated(session, [40, 41], options), code)
      expect(session.tokens).toEqual(before)
      await bench().stillWorks()
    })

    it('ignoreEos: nothing would end the text', async () => {
      await expectError(run({ regex: 'x' }, { ignoreEos: true }), 'bad-option')
    })
  })

  it('is the same where weights are streamed', async () => {
    const options: GenerateOptions = {
      format: { regex: '[a-m]{9}' },
      ignoreEos: false,
      frequencyPenalty: 1,
      logprobs: 1,
    }
    const { model } = await bench().load({ gpuBudget: 64_000 })
    using session = model.createSession()
    const { text, tokens } = await generated(session, ids, options)
    expect(session.stats().streaming).toBeDefined()
    expect(text).toMatch(/^[a-m]{9}$/)
    expect(tokens).toEqual((await run(options.format!, options)).tokens)
    model.dispose()
  })

  it('needs a tokenizer', async () => {
    const model = await loadTiny(gpu(), { checkpoint: { tokenizer: false } })
    using session = model.createSession()
    await expectError(generated(session, ids, { format: { regex: 'x' }, ignoreEos: false }), 'not-found')
    expect(session.tokens).toEqual([])
    model.dispose()
  })
})
