import OpenAI from 'openai'
import { expect, it } from 'vitest'
import { type ChatRequest, type Model, openAiFetch } from '../../src/index.js'
import { describeSdk, expectError } from './support.js'

const TEMPLATE = '{{ bos_token }}{{ tools }}{% for m in messages %}{{ m.content }}{% endfor %}'

function toolsOf(parameters: object) {
  return [{ type: 'function' as const, function: { name: 'sum', parameters: parameters as Record<string, unknown> } }]
}

describeSdk('requests with tools', (bench) => {
  const request = {
    model: 'tiny',
    messages: [{ role: 'user' as const, content: 'hi' }],
    max_tokens: 120,
    temperature: 1,
  }
  const use = async (run: (model: Model) => Promise<void>) => {
    const { model } = await bench().load({ checkpoint: { chatTemplate: TEMPLATE } })
    try {
      await run(model)
    } finally {
      model.dispose()
    }
  }

  it('where the model may choose, give its call or its text to the official client, whole and streamed', () =>
    use(async (model) => {
      const client = new OpenAI({ baseURL: 'http://local/v1', apiKey: 'none', fetch: openAiFetch(model) })
      // A tiny random model writes a call where it may write nothing else.
      const writing = (value: object) => ({
        ...request,
        tools: toolsOf({ type: 'object' }),
        response_format: { type: 'json_schema' as const, json_schema: { name: 'answer', schema: { const: value } } },
      })
      const call = writing({ name: 'sum', parameters: { of: 1 } })
      // As it is written, white space included.
      const values = expect.stringMatching(/^\{\s*"of":\s*1\s*\}$/)
      const called = { type: 'function', function: { name: 'sum', arguments: values } }
      const whole = (await client.chat.completions.create(call)).choices[0]!
      expect(whole).toMatchObject({ message: { content: null, tool_calls: [called] }, finish_reason: 'tool_calls' })
      const deltas: object[] = []
      for await (const { choices } of await client.chat.completions.create({ ...call, stream: true }))
        deltas.push({ ...choices[0]!.delta, reason: choices[0]!.finish_reason })
      expect(deltas).toMatchObject([
        { role: 'assistant', content: '', reason: null },
        { tool_calls: [{ index: 0, id: expect.any(String), ...called }], reason: null },
        { reason: 'tool_calls' },
      ])
      expect(deltas).toHaveLength(3)

      const both = writing([1, 2].map((of) => ({ name: 'sum', parameters: { of } })))
      const all = await client.chat.completions.create(both)
      expect(all.choices[0]!.message.tool_calls).toHaveLength(2)
      const one = await client.chat.completions.create({ ...both, parallel_tool_calls: false })
      expect(one.choices[0]).toMatchObject({ message: { tool_calls: [called] }, finish_reason: 'tool_calls' })
      expect(one.choices[0]!.message.tool_calls).toHaveLength(1)
      expect(one.usage!.completion_tokens).toBeLessThan(all.usage!.completion_tokens - 10)

      const text = writing({ name: 'other', parameters: {} })
      const plain = (await client.chat.completions.create(text)).choices[0]!
      expect(plain.finish_reason).toBe('stop')
      expect(plain.message).not.toHaveProperty('tool_calls')
      expect(JSON.parse(plain.message.content!)).toEqual({ name: 'other', parameters: {} })
      let streamed = ''
      for await (const { choices } of await client.chat.completions.create({ ...text, stream: true }))
        streamed += choices[0]!.delta.content ?? ''
      expect(JSON.parse(streamed)).toEqual({ name: 'other', parameters: {} })
    }))

  it('that demand a call get an object for arguments', () =>
    use(async (model) => {
      const demand = async (parameters: object, seed: number) => {
        const wanted: ChatRequest & { stream?: false } = {
          ...request,
          seed,
          tools: toolsOf(parameters),
          tool_choice: 'required',
        }
        const { message, finish_reason } = (await model.chat.completions.create(wanted)).choices[0]!
        expect(finish_reason, message.content ?? '').toBe('tool_calls')
        return JSON.parse(message.tool_calls![0]!.function.arguments)
      }
      const one = { type: 'object', properties: { a: { const: 1 } }, required: ['a'], additionalProperties: false }
      for (const seed of [1, 2, 3]) {
        expect(await demand({ anyOf: [{ const: 1 }, { enum: [[2], null] }, one] }, seed)).toEqual({ a: 1 })
        expect(await demand({ $ref: '#/$defs/x', $defs: { x: { enum: [1, [2], { b: 3 }] } } }, seed)).toEqual({ b: 3 })
      }
      // A property's name and its data are no keywords.
      const names = { const: { $ref: '#/$defs/x' }, plain: { const: { $ref: '#x' } } }
      const expected = { const: 7, plain: { $ref: '#x' } }
      const odd = { type: 'object', properties: names, required: ['const', 'plain'], $defs: { x: { const: 7 } } }
      expect(await demand(odd, 1)).toEqual(expected)
      for (const wrong of [{ type: 'string' }, { type: ['array', 'null'] }, [one]])
        await expectError(demand(wrong, 1), 'bad-option')
    }))

  it('hold calls and answers that are what they must be', () =>
    use(async (model) => {
      const send = (message: object) =>
        model.chat.completions.create({
          ...request,
          max_tokens: 1,
          messages: [...request.messages, message],
        } as ChatRequest)
      const sound = { id: 'a', type: 'function', function: { name: 'sum', arguments: '{}' } }
      const asked = (call: unknown, role = 'assistant') => ({ role, content: 'x', tool_calls: [call] })
      await send(asked(sound))
      await send({ role: 'tool', content: 'x', tool_call_id: 'a' })
      await send({ role: 'assistant', content: 'x', tool_calls: [] })
      for (const wrong of [
        { role: 'assistant', content: 'x', tool_calls: 'sum' },
        { role: 'tool', content: 'x' },
        { role: 'assistant', content: null },
        asked(sound, 'user'),
        asked(null),
        asked({ ...sound, id: undefined }),
        asked({ ...sound, type: 'custom' }),
        ...['5', '[]', 'null', '{', {}].map((given) =>
          asked({ ...sound, function: { name: 'sum', arguments: given } }),
        ),
        asked({ ...sound, function: { arguments: '{}' } }),
      ])
        await expectError(send(wrong), 'bad-option')
    }))
})
