import OpenAI, { APIUserAbortError, BadRequestError, NotFoundError } from 'openai'
import { describe, expect, it } from 'vitest'
import { type ChatCompletionChunk, openAiFetch } from '../../src/index.js'
import { idOf } from '../fixtures/tiny-model.js'
import { describeSdk, expectError } from './support.js'

const MESSAGES = [
  { role: 'system', content: 'be kind' },
  { role: 'user', content: 'hello' },
] as const

async function listOf<T>(items: AsyncIterable<T>): Promise<T[]> {
  const list: T[] = []
  for await (const item of items) list.push(item)
  return list
}

describeSdk.anywhere('OpenAI-shaped completions', (bench) => {
  const chat = () => bench().model.chat.completions
  const request = { messages: MESSAGES, max_tokens: 12, temperature: 0 }

  /** What a session of its own says to the same messages. */
  async function expectedText(): Promise<{ text: string; promptTokens: number; tokens: number }> {
    using session = bench().session()
    let [text, promptTokens, tokens] = ['', 0, 0]
    for await (const step of session.chat(MESSAGES, { temperature: 0, maxTokens: 12 })) {
      text += step.text
      if (step.kind === 'prompt') promptTokens = step.tokens.length
      if (step.kind === 'end') tokens = step.tokens.length
    }
    return { text, promptTokens, tokens }
  }

  it('gives the whole answer in OpenAI shape', async () => {
    const { text, promptTokens, tokens } = await expectedText()
    const answer = await chat().create({ ...request, model: 'mine' })
    expect(answer).toEqual({
      id: expect.stringMatching(/^chatcmpl-/),
      object: 'chat.completion',
      created: expect.any(Number),
      model: 'mine',
      choices: [
        {
          index: 0,
          message: { role: 'assistant', content: text, refusal: null },
          logprobs: null,
          finish_reason: tokens < 12 ? 'stop' : 'length',
        },
      ],
      usage: {
        prompt_tokens: promptTokens,
        completion_tokens: tokens,
        total_tokens: promptTokens + tokens,
        prompt_tokens_details: { cached_tokens: expect.any(Number) },
        skip: { attention: 0, mlp: 0, total: 0 },
      },
    })
  })

  it('streams the same text in pieces, and then its usage', async () => {
    const { text, promptTokens } = await expectedText()
    const chunks = await listOf(
      await chat().create({ ...request, stream: true, stream_options: { include_usage: true } }),
    )
    const deltas = chunks.flatMap((chunk: ChatCompletionChunk) => chunk.choices.map(({ delta }) => delta))
    expect(deltas[0]).toEqual({ role: 'assistant', content: '' })
    expect(deltas.map(({ content }) => content ?? '').join('')).toBe(text)
    expect(chunks.at(-2)!.choices[0]!.finish_reason).toMatch(/stop|length/)
    expect(chunks.at(-1)).toMatchObject({ choices: [], usage: { prompt_tokens: promptTokens } })
    expect(chunks.slice(0, -1).every(({ usage }) => usage === null)).toBe(true)
    const plain = await listOf(await chat().create({ ...request, stream: true }))
    expect(plain.some((chunk) => 'usage' in chunk)).toBe(false)
  })

  it('does not process again what the last call knew, and keeps policies apart', async () => {
    const first = await chat().create(request)
    const reply = { role: 'assistant', content: first.choices[0]!.message.content }
    const second = await chat().create({
      ...request,
      messages: [...MESSAGES, reply, { role: 'user', content: 'and?' }],
    })
    expect(second.usage.prompt_tokens_details.cached_tokens).toBeGreaterThan(10)
    const other = await chat().create({ ...request, policy: 'forced:skip=0.5' })
    expect(other.usage.prompt_tokens_details.cached_tokens).toBe(0)
    expect(other.usage.skip.total).toBeGreaterThan(0.2)
  })

  it('serves calls at the same time, and one that stops in the middle', async () => {
    const { text } = await expectedText()
    const [a, b] = await Promise.all([chat().create(request), chat().create(request)])
    expect([a, b].map(({ choices }) => choices[0]!.message.content)).toEqual([text, text])
    for await (const chunk of await chat().create({ ...request, stream: true }))
      if (chunk.choices[0]?.delta.content) break
    expect((await chat().create(request)).choices[0]!.message.content).toBe(text)
    await expectError(chat().create(request, { signal: AbortSignal.abort() }), 'aborted')
    await bench().stillWorks()
  })

  it('continues text', async () => {
    const { completions } = bench().model
    const text = { prompt: 'abc', max_tokens: 8, temperature: 0 }
    const whole = await completions.create(text)
    expect(whole.object).toBe('text_completion')
    const pieces = await listOf(await completions.create({ ...text, stream: true }))
    expect(pieces.map(({ choices }) => choices[0]?.text ?? '').join('')).toBe(whole.choices[0]!.text)
    using session = bench().session()
    let expected = ''
    for await (const step of session.generate('abc', { maxTokens: 8, temperature: 0 })) expected += step.text
    expect(whole.choices[0]!.text).toBe(expected)
    const stop = expected.slice(2, 4)
    const stopped = await completions.create({ ...text, stop: [stop] })
    expect(stopped.choices[0]).toMatchObject({ text: expected.slice(0, expected.indexOf(stop)), finish_reason: 'stop' })
  })

  it.each([
    ['bad-option', { messages: [] }],
    ['bad-option', { messages: [{ content: 'x' }] }],
    ['bad-option', { messages: [{ role: 'user', content: 3 }] }],
    ['bad-option', { stop: 3 }],
    ['bad-option', { max_tokens: 0 }],
    ['bad-option', { temperature: 'hot' }],
    ['bad-option', { temperature: -1 }],
    ['unknown-policy', { policy: 'magic' }],
    ['unsupported', { messages: [{ role: 'user', content: [{ type: 'image_url' }] }] }],
    ['unsupported', { echo: true }],
    ['bad-option', { logprobs: 3 }],
    ['bad-option', { logprobs: true, top_logprobs: 21 }],
    ['bad-option', { logprobs: true, top_logprobs: 'all' }],
    ['bad-option', { top_logprobs: 2 }],
    ['unsupported', { response_format: { type: 'grammar' } }],
    ['bad-option', { response_format: 'json_object' }],
    ['bad-option', { response_format: { type: 'json_schema' } }],
    ['bad-option', { response_format: { type: 'json_schema', json_schema: { name: 'x', schema: 3 } } }],
    ['bad-option', { response_format: { type: 'json_schema', json_schema: { schema: { type: 'nonsense' } } } }],
    ['bad-option', { logit_bias: 3 }],
    ['bad-option', { logit_bias: { 5: 'x' } }],
    ['bad-option', { logit_bias: { 100: 1 } }],
    ['bad-option', { presence_penalty: 3 }],
    ['bad-option', { frequency_penalty: 'much' }],
    ['unsupported', { tools: [{ type: 'function', function: { name: 'f' } }] }],
  ])('refuses with %s: %j', async (code, wrong) => {
    await expectError(chat().create({ ...request, ...(wrong as object) }), code)
    await bench().stillWorks()
  })

  it('answers in the JSON that is asked for, whole and streamed', async () => {
    const properties = { ok: { type: 'boolean' }, n: { enum: [1, 22] } }
    const schema = { type: 'object', properties, required: ['ok', 'n'], additionalProperties: false }
    const wanted = {
      ...request,
      max_tokens: 60,
      response_format: { type: 'json_schema', json_schema: { name: 'answer', schema, strict: true } },
    } as const
    const { choices } = await chat().create(wanted)
    expect(choices[0]!.finish_reason).toBe('stop')
    expect(JSON.parse(choices[0]!.message.content!)).toEqual({ ok: expect.any(Boolean), n: expect.any(Number) })
    const chunks = await listOf(await chat().create({ ...wanted, stream: true }))
    expect(chunks.map((chunk) => chunk.choices[0]?.delta.content ?? '').join('')).toBe(choices[0]!.message.content)
    const object = await chat().create({ ...wanted, max_tokens: 12, response_format: { type: 'json_object' } })
    expect(object.choices[0]!.message.content).toMatch(/^\s*\{/)
    const text = await bench().model.completions.create({ ...wanted, prompt: 'abc' })
    expect(Object.keys(JSON.parse(text.choices[0]!.text)).sort()).toEqual(['n', 'ok'])
  })

  it('tells how probable every token was, whole and streamed', async () => {
    const wanted = { ...request, logprobs: true, top_logprobs: 2 }
    const { choices, usage } = await chat().create(wanted)
    const { content } = choices[0]!.logprobs!
    expect(content).toHaveLength(usage.completion_tokens)
    expect(content.map(({ token }) => token).join('')).toBe(choices[0]!.message.content)
    for (const { top_logprobs: top, ...chosen } of content) {
      expect(top).toHaveLength(2)
      // The request is greedy.
      expect(top[0]).toEqual(chosen)
      expect(top[1]!.logprob).toBeLessThanOrEqual(chosen.logprob)
      expect(chosen.bytes).toEqual([...new TextEncoder().encode(chosen.token)])
    }
    const chunks = await listOf(await chat().create({ ...wanted, stream: true }))
    expect(chunks.flatMap((chunk) => chunk.choices[0]?.logprobs?.content ?? [])).toEqual(content)
    // Penalised, the text has no two characters twice, so that some are left before a stop string.
    const varied = { ...wanted, presence_penalty: 2, frequency_penalty: 2 }
    const all = (await chat().create(varied)).choices[0]!.message.content!
    const { message, logprobs } = (await chat().create({ ...varied, stop: all.slice(3, 5) })).choices[0]!
    expect(message.content).toBe(all.slice(0, 3))
    expect(logprobs?.content.map(({ token }) => token).join('')).toBe(message.content)
  })

  it('takes biases and penalties', async () => {
    const biased = await chat().create({ ...request, logit_bias: { [idOf('k')]: 100 } })
    expect(biased.choices[0]!.message.content).toBe('k'.repeat(12))
    const penalised = await chat().create({ ...request, presence_penalty: 1.5, frequency_penalty: -0.5 })
    using session = bench().session()
    let expected = ''
    const options = { presencePenalty: 1.5, frequencyPenalty: -0.5, temperature: 0, maxTokens: 12 }
    for await (const step of session.chat(MESSAGES, options)) expected += step.text
    expect(penalised.choices[0]!.message.content).toBe(expected)
    expect(expected).not.toBe((await expectedText()).text)
  })

  it('ignores what asks for nothing', async () => {
    const idle = {
      n: 1,
      logit_bias: {},
      tools: [],
      frequency_penalty: 0,
      presence_penalty: null,
      response_format: { type: 'text' as const },
      stop: null,
    }
    const parts = MESSAGES.map(({ role, content }) => ({ role, content: [{ type: 'text' as const, text: content }] }))
    const answer = await chat().create({ ...request, ...idle, messages: parts })
    expect(answer.choices[0]!.message.content).toBe((await expectedText()).text)
  })

  describe("OpenAI's own client", () => {
    const client = () =>
      new OpenAI({ baseURL: 'http://local/v1', apiKey: 'none', maxRetries: 0, fetch: openAiFetch(bench().model) })
    const messages = MESSAGES.map((message) => ({ ...message }))
    const body = { model: 'skipstone', messages, max_tokens: 12, temperature: 0 }

    it('runs a whole and a streamed chat, and a completion', async () => {
      const { text } = await expectedText()
      const answer = await client().chat.completions.create(body)
      expect(answer.choices[0]!.message.content).toBe(text)
      let streamed = ''
      for await (const chunk of await client().chat.completions.create({ ...body, stream: true })) {
        streamed += chunk.choices[0]?.delta.content ?? ''
      }
      expect(streamed).toBe(text)
      const { choices } = await client().chat.completions.create({
        ...body,
        logit_bias: { [idOf('q')]: 100 },
        response_format: { type: 'json_schema', json_schema: { name: 'word', schema: { const: 'quiz' } } },
      })
      expect(choices[0]!.message.content).toBe('"quiz"')
      const completion = await client().completions.create({ model: 'x', prompt: 'abc', max_tokens: 4, temperature: 0 })
      expect(completion.choices[0]!.text.length).toBeGreaterThan(0)
      expect((await client().models.list()).data.map(({ id }) => id)).toEqual(['skipstone'])
    })

    it('gets errors and aborts as from a server', async () => {
      await expect(client().chat.completions.create({ ...body, n: 0 })).rejects.toBeInstanceOf(BadRequestError)
      const long = [{ role: 'user' as const, content: 'x'.repeat(2000) }]
      const tooLong = client().chat.completions.create({ ...body, messages: long, stream: true })
      await expect(tooLong).rejects.toMatchObject({ status: 400, code: 'context-full' })
      await expect(client().moderations.create({ input: 'y' })).rejects.toBeInstanceOf(NotFoundError)
      const controller = new AbortController()
      const stream = await client().chat.completions.create({ ...body, stream: true }, { signal: controller.signal })
      const reading = (async () => {
        for await (const _ of stream) controller.abort()
      })()
      await reading.catch((error: unknown) => expect(error).toBeInstanceOf(APIUserAbortError))
      await bench().stillWorks()
    })
  })

  it('leaves nothing behind but the conversation of the last call', async () => {
    await chat().create(request)
    const { gpuBytes } = bench().model
    for (let i = 0; i < 3; i++) await chat().create(request)
    expect(bench().model.gpuBytes).toBe(gpuBytes)
  })
})
