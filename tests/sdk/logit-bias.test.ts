import { expect, it } from 'vitest'
import type { GenerateOptions, Session } from '../../src/index.js'
import { adjustLogits } from '../../src/kernels/reference/adjust-logits.js'
import { argmax } from '../../src/kernels/reference/argmax.js'
import { randomIds } from '../fixtures/tiny-model.js'
import { describeSdk, expectError, generated } from './support.js'

describeSdk.anywhere('logit bias and penalties', (bench) => {
  const ids = randomIds(14, 83)
  const run = async (options: GenerateOptions, maxTokens = 16) => {
    using session = bench().session()
    return (await generated(session, ids, { maxTokens, ...options })).tokens
  }

  it('a bias makes a token certain, or impossible', async () => {
    const plain = await run({})
    expect(await run({ logitBias: { 57: 100 } })).toEqual(Array(16).fill(57))
    expect(await run({ logitBias: { 57: 100 }, temperature: 1.5, topP: 0.9 })).toEqual(Array(16).fill(57))
    const without = await run({ logitBias: Object.fromEntries(plain.map((id) => [id, -100])) })
    expect(without.filter((id) => plain.includes(id))).toEqual([])
    expect(await run({ logitBias: {}, presencePenalty: 0, frequencyPenalty: 0 })).toEqual(plain)
  })

  it.each([
    { presencePenalty: 1.5 },
    { frequencyPenalty: 0.8 },
    { presencePenalty: -0.5, frequencyPenalty: 2 },
    { frequencyPenalty: -2 },
    { presencePenalty: 2, frequencyPenalty: 1, logitBias: { 40: 1.5, 99: -3 } },
  ] as GenerateOptions[])('%o chooses what the reference chooses', async (options) => {
    const tokens = await run(options, 20)
    for (const stepsPerSubmit of [1, 7]) expect(await run({ ...options, stepsPerSubmit }, 20)).toEqual(tokens)
    using session = bench().session()
    for (const [i, token] of tokens.entries()) {
      session.rewind(ids.length + i - 1)
      const rest = [...ids, ...tokens.slice(0, i)].slice(session.tokens.length)
      // Logits are the model's, whatever was asked for.
      const { prompt } = await generated(session, rest, { ...options, maxTokens: 1, logits: true })
      const { presencePenalty: presence = 0, frequencyPenalty: frequency = 0, logitBias: bias = {} } = options
      const count = (id: number) => tokens.slice(0, i).filter((before) => before === id).length
      expect(token, `token ${i}`).toBe(argmax(adjustLogits(prompt.logits!, { presence, frequency, bias, count })))
    }
  })

  it('counts only what this call generates, whatever became of earlier calls', async () => {
    const options: GenerateOptions = { presencePenalty: 1, frequencyPenalty: 1, maxTokens: 16 }
    const expected = await run(options)
    using session = bench().session()
    const again = async () => {
      session.rewind(0)
      expect((await generated(session, ids, options)).tokens).toEqual(expected)
    }
    await stopAfter(session, 5, options)
    await again()
    const controller = new AbortController()
    const aborted = generated(session, ids, { ...options, signal: controller.signal })
    controller.abort()
    await expectError(aborted, 'aborted')
    await again()
    // Those who ask for nothing get nothing.
    session.rewind(0)
    expect((await generated(session, ids, { maxTokens: 16 })).tokens).toEqual(await run({}))
  })

  async function stopAfter(session: Session, count: number, options: GenerateOptions): Promise<void> {
    let tokens = 0
    for await (const step of session.generate(ids, { ...options, ignoreEos: true, temperature: 0 }))
      if (step.kind === 'token' && ++tokens === count) break
  }

  it('costs nothing where it is not asked for', async () => {
    const { counters } = await bench().engine()
    const measure = async (options: GenerateOptions) => {
      using session = bench().session()
      const dispatches = counters.dispatches
      await generated(session, ids, { maxTokens: 9, ...options })
      return { dispatches: counters.dispatches - dispatches, bytes: await bench().gpuBytes() }
    }
    const plain = await measure({})
    expect(await measure({ logitBias: {}, presencePenalty: 0, frequencyPenalty: 0 })).toEqual(plain)
    // The prompt, and 8 steps.
    expect((await measure({ logitBias: { 5: 1 } })).dispatches).toBe(plain.dispatches + 9)
    expect((await measure({ presencePenalty: 1 })).dispatches).toBe(plain.dispatches + 8)
    expect(await measure({})).toEqual(plain)
  })

  it.each([
    { presencePenalty: 2.1 },
    { presencePenalty: Number.NaN },
    { frequencyPenalty: -2.5 },
    { logitBias: { 100: 1 } },
    { logitBias: { [-1]: 1 } },
    { logitBias: { hello: 1 } },
    { logitBias: { 5: 101 } },
    { logitBias: { 5: Number.NaN } },
  ] as GenerateOptions[])('refuses %o', async (options) => {
    await expectError(run(options), 'bad-option')
    await bench().stillWorks()
  })
})
