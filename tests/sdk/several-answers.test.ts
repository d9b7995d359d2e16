import OpenAI from 'openai'
import { expect, it } from 'vitest'
import { type ChatCompletionChunk, openAiFetch } from '../../src/index.js'
import { describeSdk, expectError } from './support.js'

const MESSAGES = [{ role: 'user', content: 'hello' }] as const
const N = 3

async function listOf<T>(items: AsyncIterable<T>): Promise<T[]> {
  const list: T[] = []
  for await (const item of items) list.push(item)
  return list
}

describeSdk.anywhere('several answers to a request', (bench) => {
  const chat = () => bench().model.chat.completions
  const request = { messages: MESSAGES, max_tokens: 12, temperature: 1.2, seed: 4 }
  const textOf = (chunks: readonly ChatCompletionChunk[], index: number) =>
    chunks
      .flatMap(({ choices }) => choices)
      .filter((choice) => choice.index === index)
      .map(({ delta }) => delta.content ?? '')
      .join('')

  it('each draw their own lots, and the first is the one that a request for one gets', async () => {
    const one = await chat().create(request)
    const bytes = await bench().gpuBytes()
    const all = await chat().create({ ...request, n: N })
    expect(all.choices.map(({ index }) => index)).toEqual([0, 1, 2])
    const texts = all.choices.map(({ message }) => message.content)
    expect(texts[0]).toBe(one.choices[0]!.message.content)
    expect(new Set(texts).size).toBe(N)
    expect(all.choices.every(({ finish_reason }) => finish_reason === 'stop' || finish_reason === 'length')).toBe(true)
    // The prompt counts once.
    const { prompt_tokens, completion_tokens, total_tokens } = all.usage
    expect(prompt_tokens).toBe(one.usage.prompt_tokens)
    expect(completion_tokens).toBeGreaterThan(one.usage.completion_tokens)
    expect(total_tokens).toBe(prompt_tokens + completion_tokens)
    expect((await chat().create({ ...request, n: N })).choices).toEqual(all.choices)
    // Nothing stays of the sessions behind them but what a call keeps for the next.
    expect(await bench().gpuBytes()).toBe(bytes)
  })

  it('are the same greedily, and skip alike', async () => {
    const greedy = { ...request, temperature: 0, policy: 'forced:skip=0.4' }
    const one = await chat().create(greedy)
    const { choices, usage } = await chat().create({ ...greedy, n: N })
    for (const { message } of choices) expect(message.content).toBe(one.choices[0]!.message.content)
    expect(usage.skip.total).toBeCloseTo(one.usage.skip.total, 10)
  })

  it('stream side by side', async () => {
    const whole = await chat().create({ ...request, n: N, logprobs: true })
    for (const logprobs of [false, true]) {
      const options = { stream: true, stream_options: { include_usage: true } } as const
      const chunks = await listOf(await chat().create({ ...request, ...options, n: N, logprobs }))
      for (const { index, message } of whole.choices) expect(textOf(chunks, index)).toBe(message.content)
      const roles = chunks.flatMap(({ choices }) => choices).filter(({ delta }) => delta.role)
      expect(roles.map(({ index }) => index).sort()).toEqual([0, 1, 2])
      const ends = chunks.flatMap(({ choices }) => choices).filter(({ finish_reason }) => finish_reason)
      expect(ends).toHaveLength(N)
      expect(chunks.at(-1)!.usage).toMatchObject({ completion_tokens: whole.usage.completion_tokens })
    }
  })

  it('end together where the reader leaves', async () => {
    const bytes = await bench().gpuBytes()
    for await (const chunk of await chat().create({ ...request, n: N, stream: true }))
      if (chunk.choices[0]?.delta.content) break
    expect(await bench().gpuBytes()).toBe(bytes)
    await expectError(chat().create({ ...request, n: N }, { signal: AbortSignal.abort() }), 'aborted')
    await bench().stillWorks()
  })

  it('continue several texts, each several times', async () => {
    const { completions } = bench().model
    const text = { max_tokens: 6, temperature: 1, seed: 9 }
    const prompts = ['abc', [5, 6, 7, 8], 'x y']
    const expected: string[] = []
    for (const prompt of prompts) {
      const { choices } = await completions.create({ ...text, prompt, n: 2 })
      expect((await completions.create({ ...text, prompt })).choices[0]!.text).toBe(choices[0]!.text)
      expected.push(...choices.map((choice) => choice.text))
    }
    const { choices, usage } = await completions.create({ ...text, prompt: prompts, n: 2 })
    expect(choices.map((choice) => choice.index)).toEqual([0, 1, 2, 3, 4, 5])
    expect(choices.map((choice) => choice.text)).toEqual(expected)
    expect(usage!.total_tokens).toBe(usage!.prompt_tokens + usage!.completion_tokens)
    const pieces = await listOf(await completions.create({ ...text, prompt: prompts, n: 2, stream: true }))
    const streamed = expected.map((_, index) =>
      pieces
        .flatMap((piece) => piece.choices)
        .filter((choice) => choice.index === index)
        .map((choice) => choice.text)
        .join(''),
    )
    expect(streamed).toEqual(expected)
    const echoed = await completions.create({ ...text, prompt: ['abc', 'x y'], n: 2, echo: true, logprobs: 1 })
    expect(echoed.choices.map((choice) => choice.text)).toEqual([
      `abc${expected[0]}`,
      `abc${expected[1]}`,
      `x y${expected[4]}`,
      `x y${expected[5]}`,
    ])
    expect(echoed.choices[3]!.logprobs!.token_logprobs[0]).toBeNull()
  })

  it.each([0, 1.5, 129, '2', Number.NaN])('are not %s', async (n) => {
    await expectError(chat().create({ ...request, n: n as number }), 'bad-option')
  })

  it("reach OpenAI's own client", async () => {
    const client = new OpenAI({ apiKey: 'none', baseURL: 'http://local/v1', fetch: openAiFetch(bench().model) })
    const body = { model: 'mine', messages: [...MESSAGES], max_tokens: 12, temperature: 1.2, seed: 4, n: N }
    const { choices } = await client.chat.completions.create(body)
    const ours = await chat().create({ ...request, n: N })
    expect(choices.map(({ message }) => message.content)).toEqual(ours.choices.map(({ message }) => message.content))
  })
})
