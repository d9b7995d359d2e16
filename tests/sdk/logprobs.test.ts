import { expect, it } from 'vitest'
import type { GenerateOptions, TokenStep } from '../../src/index.js'
import { randomIds } from '../fixtures/tiny-model.js'
import { describeSdk, expectError, generated } from './support.js'

describeSdk.anywhere('logprobs', (bench) => {
  const ids = randomIds(14, 97)
  const run = async (options: GenerateOptions) => {
    using session = bench().session()
    const { steps, tokens, prompt } = await generated(session, ids, { maxTokens: 10, ...options })
    return { tokens, prompt, steps: steps.filter((step): step is TokenStep => step.kind === 'token') }
  }

  it.each([
    { logprobs: 5 },
    { logprobs: 20, stepsPerSubmit: 6 },
    { logprobs: 3, temperature: 1.3, seed: 3 },
    { logprobs: 0, presencePenalty: 2, logitBias: { 40: 5 } },
    { logprobs: 2, format: { regex: '[a-f]{9}' }, ignoreEos: false },
  ] as GenerateOptions[])('%o are those of the model', async (options) => {
    const { steps, tokens, prompt } = await run(options)
    const { logprobs: count, ...without } = options
    expect(tokens).toEqual((await run(without)).tokens)
    expect(prompt.logits).toBeUndefined()
    using session = bench().session()
    for (const [i, { token, logprobs }] of steps.entries()) {
      const rest = [...ids, ...tokens.slice(0, i)].slice(session.tokens.length)
      const { logits } = (await generated(session, rest, { maxTokens: 1, logits: true })).prompt
      session.rewind(ids.length + i)
      const all = Array.from(logits!)
      const logSum = Math.log(all.reduce((sum, logit) => sum + Math.exp(logit), 0))
      const expected = all.map((logit, id) => ({ token: id, logprob: logit - logSum }))
      expect(logprobs!.token).toBe(token)
      expect(logprobs!.logprob).toBeCloseTo(expected[token]!.logprob, 4)
      const top = [...expected].sort((a, b) => b.logprob - a.logprob).slice(0, count)
      expect(logprobs!.top.map(({ token: id }) => id)).toEqual(top.map(({ token: id }) => id))
      for (const [place, { logprob }] of top.entries()) expect(logprobs!.top[place]!.logprob).toBeCloseTo(logprob, 4)
    }
  })

  it('are not there where nobody asks', async () => {
    const { steps } = await run({})
    expect(steps.some((step) => 'logprobs' in step)).toBe(false)
  })

  it.each([-1, 21, 1.5, Number.NaN])('refuses %d', async (logprobs) => {
    await expectError(run({ logprobs }), 'bad-option')
    await bench().stillWorks()
  })
})
