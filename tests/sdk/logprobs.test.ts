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

  it.each([{ promptLogprobs: 4 }, { promptLogprobs: 0, logprobs: 2, temperature: 1.2, seed: 5 }] as GenerateOptions[])(
    '%o tells those of the prompt, and changes no token',
    async (options) => {
      // More than two of the chunks that are read together, and no multiple of one.
      const long = randomIds(41, 29)
      const { promptLogprobs: count, ...without } = options
      using session = bench().session({ policy: 'skipgpt' })
      const { prompt, tokens } = await generated(session, long, { maxTokens: 5, ...options })
      const trace = session.trace()
      session.rewind(0)
      expect(await generated(session, long, { maxTokens: 5, ...without })).toMatchObject({ tokens })
      expect(session.trace()).toEqual(trace)
      const entries = prompt.logprobs!
      expect(entries).toHaveLength(long.length)
      expect(entries[0]).toBeNull()
      session.rewind(0)
      for (const [i, id] of long.slice(1).entries()) {
        const { logits } = (await generated(session, long.slice(i, i + 1), { maxTokens: 1, logits: true })).prompt
        session.rewind(i + 1)
        const logSum = Math.log(logits!.reduce((sum, logit) => sum + Math.exp(logit), 0))
        const { token, logprob, text, top } = entries[i + 1]!
        expect([token, text]).toEqual([id, await bench().model.text.decode([id])])
        expect(logprob).toBeCloseTo(logits![id]! - logSum, 4)
        expect(top).toHaveLength(count!)
        const best = [...logits!].sort((a, b) => b - a)
        for (const [place, one] of top.entries()) expect(one.logprob).toBeCloseTo(best[place]! - logSum, 4)
      }
    },
  )

  it('of a prompt are those of what was read now, and leave nothing on the GPU', async () => {
    using session = bench().session()
    await generated(session, ids, { maxTokens: 3, promptLogprobs: 1 })
    const bytes = await bench().gpuBytes()
    const { prompt } = await generated(session, [7, 8, 9], { maxTokens: 3, promptLogprobs: 1 })
    expect(prompt.logprobs!.map((one) => one?.token ?? null)).toEqual([null, ...prompt.tokens.slice(1)])
    expect(await bench().gpuBytes()).toBe(bytes)
    const aborted = generated(session, ids, { promptLogprobs: 1, signal: AbortSignal.abort() })
    await expectError(aborted, 'aborted')
    expect(await bench().gpuBytes()).toBe(bytes)
  })

  it('are not there where nobody asks', async () => {
    const { steps, prompt } = await run({})
    expect([prompt, ...steps].some((step) => 'logprobs' in step)).toBe(false)
  })

  it.each([-1, 21, 1.5, Number.NaN])('refuses %d', async (logprobs) => {
    await expectError(run({ logprobs }), 'bad-option')
    await expectError(run({ promptLogprobs: logprobs }), 'bad-option')
    await bench().stillWorks()
  })
})
