import { expect, it } from 'vitest'
import { dense, forced, type GenerateOptions, loadModel, policy, skipgpt } from '../../src/index.js'
import { checkPolicy } from '../../src/skip/registry.js'
import { loadTiny, randomIds, TINY_CONTEXT, tinyModel } from '../fixtures/tiny-model.js'
import { describeSdk, expectError, generated, PLAIN } from './support.js'

const BAD_OPTIONS: GenerateOptions[] = [
  { temperature: -0.1 },
  { temperature: Number.NaN },
  { temperature: Number.POSITIVE_INFINITY },
  { topP: 0 },
  { topP: 1.01 },
  { topP: Number.NaN },
  { topK: -1 },
  { topK: 1.5 },
  { minP: -0.1 },
  { minP: 2 },
  { repetitionPenalty: 0 },
  { repetitionPenalty: Number.POSITIVE_INFINITY },
  { seed: 0.5 },
  { maxTokens: 0 },
  { maxTokens: 2.5 },
  { maxTokens: Number.NaN },
  { stop: '' },
  { stop: ['a', ''] },
  { stepsPerSubmit: 0 },
  { stepsPerSubmit: -3 },
  { stepsPerSubmit: 1.5 },
  { stepsPerSubmit: Number.NaN },
]

describeSdk('options', (bench, gpu) => {
  const ids = randomIds(9, 71)

  it.each(BAD_OPTIONS)('%o', async (options) => {
    using session = bench().session()
    await generated(session, ids, { maxTokens: 4 })
    const before = [...session.tokens]
    const { positions } = session.stats()
    await expectError(generated(session, 'abc', options), 'bad-option')
    // The conversation is as it was, and goes on.
    expect(session.tokens).toEqual(before)
    expect(session.stats().positions).toBe(positions)
    const { tokens } = await generated(session, [30, 31], { maxTokens: 4 })
    using fresh = bench().session()
    expect(tokens).toEqual((await generated(fresh, [...before, 30, 31], { maxTokens: 4 })).tokens)
  })

  it('an empty prompt', async () => {
    using session = bench().session()
    await expectError(generated(session, ''), 'bad-option')
    await expectError(generated(session, []), 'bad-option')
    await generated(session, 'x', { maxTokens: 2 })
    await expectError(generated(session, ''), 'bad-option')
    await expectError(session.chat([]).next(), 'bad-option')
    await bench().stillWorks()
  })

  it.each([100, -1, 1.5, Number.NaN, 2 ** 32])('the token id %d', async (id) => {
    using session = bench().session()
    await expectError(generated(session, [1, id]), 'bad-option')
    expect(session.tokens).toEqual([])
    await expectError(bench().model.evaluate([[1, id]]), 'bad-option')
    await bench().stillWorks()
  })

  it('a prompt longer than the context', async () => {
    using session = bench().session({ contextLength: 16 })
    await expectError(generated(session, randomIds(17)), 'context-full')
    expect(session.tokens).toEqual([])
    await generated(session, randomIds(10), { maxTokens: 3 })
    await expectError(generated(session, randomIds(4)), 'context-full')
    expect(session.tokens).toHaveLength(13)
    await expectError(bench().model.evaluate([randomIds(TINY_CONTEXT + 2)]), 'context-full')
    await bench().stillWorks()
  })

  it.each([0, -1, 1.5, TINY_CONTEXT + 1, Number.NaN])('a context of %d', async (contextLength) => {
    await expectError(() => bench().session({ contextLength }), 'bad-option')
  })

  it('nothing to evaluate', async () => {
    await expectError(bench().model.evaluate([]), 'bad-option')
    await expectError(bench().model.evaluate([[1], [2]]), 'bad-option')
  })

  it.each([
    ['nonsense', 'unknown-policy'],
    ['', 'unknown-policy'],
    ['toString', 'unknown-policy'],
    ['dense:skip=0.5', 'bad-option'],
    ['forced:rate=0.5', 'bad-option'],
    ['forced:skip', 'bad-option'],
    ['forced:skip=', 'bad-option'],
    ['skipgpt:budget=0.2,gamma=1', 'bad-option'],
    ['forced:skip=2', 'bad-option'],
    ['forced:skip=half', 'bad-option'],
    ['forced:seed=0.5', 'bad-option'],
    ['skipgpt:delta=x', 'bad-option'],
    ['skipgpt:delta=Infinity', 'bad-option'],
    ['skipgpt:input=exit', 'bad-option'],
    ['skipgpt:delta=0,budget=0.1', 'bad-option'],
    ['skipgpt:budget=1.5', 'bad-option'],
    ['first:skip=-0.1', 'bad-option'],
    ['first:seed=1', 'bad-option'],
    ['random:skip=1.1', 'bad-option'],
    ['sleb:skip=1.1', 'bad-option'],
    ['adaskip:online=maybe', 'bad-option'],
    ['adaskip:window=0', 'bad-option'],
    ['adaskip:window=1.5', 'bad-option'],
    ['random:seed=0.5', 'bad-option'],
    ['layerskip:exit=0', 'bad-option'],
    ['layerskip:exit=2,skip=0.25', 'bad-option'],
    ['unified:speedup=0.9', 'bad-option'],
    ['unified:form=odd', 'bad-option'],
  ])('the policy "%s": %s', async (text, code) => {
    await expectError(() => bench().session({ policy: text }), code)
    await expectError(() => policy(text), code)
    await bench().stillWorks()
  })

  it('policies as values and as text are the same', () => {
    expect(policy('dense')).toEqual(dense())
    expect(policy('forced:skip=0.25,seed=3')).toEqual(forced({ skip: 0.25, seed: 3 }))
    expect(policy('skipgpt:budget=0.4,input=post-attention')).toEqual(skipgpt({ budget: 0.4, input: 'post-attention' }))
    expect(skipgpt({ delta: undefined })).toEqual(skipgpt())
    expect(() => checkPolicy({ name: 'nonsense', options: {} })).toThrow()
  })

  it('a policy without its weights', async () => {
    const tiny = tinyModel({ routers: undefined })
    const model = await loadModel(tiny.source, { gpu: gpu() })
    expect(model.hasRouters).toBe(false)
    await expectError(() => model.createSession({ policy: 'skipgpt' }), 'missing-weights')
    await expectError(model.evaluate([ids], { policy: skipgpt() }), 'missing-weights')
    using session = model.createSession()
    expect((await generated(session, ids, { maxTokens: 3 })).tokens).toHaveLength(3)
    model.dispose()
  })

  it('a model without a tokenizer works with ids', async () => {
    const model = await loadTiny(gpu(), { checkpoint: { tokenizer: false } })
    using session = model.createSession()
    await expectError(generated(session, 'text'), 'not-found')
    await expectError(session.chat([{ role: 'user', content: 'hi' }]).next(), 'not-found')
    await expectError(generated(session, ids, { stop: 'x' }), 'not-found')
    expect(session.tokens).toEqual([])
    const { tokens, text } = await generated(session, ids, { maxTokens: 6 })
    using other = bench().session()
    expect(tokens).toEqual((await generated(other, ids, { maxTokens: 6 })).tokens)
    expect(text).toBe('')
    model.dispose()
  })

  it('a model without a chat template', async () => {
    const tiny = tinyModel()
    tiny.files.delete('tokenizer_config.json')
    const model = await loadModel(tiny.source, { gpu: gpu() })
    using session = model.createSession()
    await expectError(session.chat([{ role: 'user', content: 'hi' }]).next(), 'unsupported')
    expect((await generated(session, 'hi', { maxTokens: 3 })).tokens).toHaveLength(3)
    model.dispose()
  })

  it('takes sampling defaults from generation_config.json, and options before them', async () => {
    const load = async (settings: Record<string, unknown>) => {
      const tiny = tinyModel()
      tiny.files.set('generation_config.json', new TextEncoder().encode(JSON.stringify(settings)))
      return loadModel(tiny.source, { gpu: gpu() })
    }
    const run = async (settings: Record<string, unknown>, options: GenerateOptions) => {
      const model = await load(settings)
      using session = model.createSession()
      const tokens: number[] = []
      for await (const step of session.generate(ids, { ignoreEos: true, maxTokens: 12, ...options })) {
        if (step.kind === 'token') tokens.push(step.token)
      }
      model.dispose()
      return tokens
    }
    const greedy = await run({}, {})
    expect(greedy).toEqual(await run({}, { temperature: 0 }))
    expect(await run({ do_sample: false, temperature: 0.9, top_k: 40 }, {})).toEqual(greedy)
    const sampled = await run({ do_sample: true, temperature: 1.2, top_k: 30 }, { seed: 4 })
    expect(sampled).not.toEqual(greedy)
    expect(await run({}, { temperature: 1.2, topK: 30, seed: 4 })).toEqual(sampled)
    expect(await run({ do_sample: true, temperature: 1.2 }, { temperature: 0 })).toEqual(greedy)
    expect(await run({ eos_token_id: [greedy[3], 2] }, { ignoreEos: false })).toEqual(
      greedy.slice(0, greedy.indexOf(greedy[3]!)),
    )
  })

  it('says which text is sampled by its seed', async () => {
    const run = async (options: GenerateOptions) => {
      using session = bench().session()
      return (await generated(session, 'Hello', { maxTokens: 24, temperature: 1, topK: 50, ...options })).text
    }
    expect(await run({ seed: 5 })).toBe(await run({ seed: 5 }))
    expect(await run({ seed: 5 })).not.toBe(await run({ seed: 6 }))
    expect(await run({})).toBe(await run({ seed: 0 }))
    expect(PLAIN.temperature).toBe(0)
  })
})
