import fc from 'fast-check'
import OpenAI from 'openai'
import { describe, expect, it } from 'vitest'
import { type ChatRequest, type Model, type ModelText, openAiFetch, type Tool } from '../../src/index.js'
import { ChatCompletions } from '../../src/sdk/openai/completions.js'
import type { CompletionHost } from '../../src/sdk/openai/conversations.js'
import { type ToolForm, toolForm } from '../../src/sdk/openai/tools/forms.js'
import { ToolCallReader } from '../../src/sdk/openai/tools/reader.js'
import { toolsWanted } from '../../src/sdk/openai/tools/request.js'
import { describeSdk, expectError } from './support.js'

const NAMES = ['time', 'sum']
const CALLS = [
  { name: 'time', arguments: {} },
  { name: 'sum', arguments: { of: [1, 2], note: 'a "b\\"};{"c}</tool_call><tool_call>[TOOL_CALLS]<|python_tag|>' } },
]
const list = JSON.stringify(CALLS)
const tagged = CALLS.map((call) => `<tool_call>\n${JSON.stringify(call)}\n</tool_call>`).join('\n')
const objects = CALLS.map(({ name, arguments: parameters }) => JSON.stringify({ name, parameters })).join('; ')

const named = CALLS.map((call) => `[TOOL_CALLS]${call.name}[ARGS]${JSON.stringify(call.arguments)}`).join('')
const withIds = named.replaceAll('[ARGS]', '[CALL_ID]a1B2c3D4e[ARGS]')

/** Template, what the model wrote, the text in it, and the number of calls. */
const WRITTEN: readonly [string, string, string, string, number][] = [
  ['Hermes', '{{ tools }}<tool_call>', tagged, '', 2],
  ['Hermes, after text', '{{ tools }}<tool_call>', `I < you, <too.\n${tagged}`, 'I < you, <too.\n', 2],
  ['Hermes, cut off', '{{ tools }}<tool_call>', tagged.slice(0, -3), tagged.slice(0, -3), 0],
  ['Hermes, its last mark missing', '{{ tools }}<tool_call>', tagged.replace(/<\/tool_call>$/, ''), '', 2],
  [
    'Hermes, a mark missing between',
    '{{ tools }}<tool_call>',
    tagged.replace('</tool_call>\n<', '<'),
    tagged.replace('</tool_call>\n<', '<'),
    0,
  ],
  ['Hermes, after white space', '{{ tools }}<tool_call>', `\n\n${tagged}`, '', 2],
  ['Hermes, text behind', '{{ tools }}<tool_call>', `${tagged} ok`, `${tagged} ok`, 0],
  ['Llama', '{{ tools }}', objects, '', 2],
  ['Llama, with its tag', '{{ tools }}', `<|python_tag|>${objects}`, '', 2],
  ['Llama, JSON that is no call', '{{ tools }}', '{"a": 1}', '{"a": 1}', 0],
  ['Llama, text', '{{ tools }}', `Well: ${objects}`, `Well: ${objects}`, 0],
  ['Mistral', '{{ tools }}[TOOL_CALLS]', `[TOOL_CALLS] ${JSON.stringify(CALLS)}`, '', 2],
  ['Mistral, its tag not shown', '{{ tools }}[TOOL_CALLS]', ` ${JSON.stringify(CALLS)}`, '', 2],
  ['Mistral, a list that is none', '{{ tools }}[TOOL_CALLS]', '[1, 2]', '[1, 2]', 0],
  [
    'a tool that is not there',
    '{{ tools }}',
    '{"name": "rm", "parameters": {}}',
    '{"name": "rm", "parameters": {}}',
    0,
  ],
  [
    'Hermes, its tags not shown',
    '{{ tools }}<tool_call>',
    `\n${CALLS.map((call) => JSON.stringify(call)).join('\n\n')}\n`,
    '',
    2,
  ],
  ['Hermes, JSON that is no call', '{{ tools }}<tool_call>', '{"name": "Ann"}\n', '{"name": "Ann"}\n', 0],
  ['Llama, a line for each', '{{ tools }}', objects.replace('; ', '\n'), '', 2],
  ['Llama, a semicolon behind', '{{ tools }}', `${objects};`, `${objects};`, 0],
  ['Llama, its tag after text', '{{ tools }}', `So <|: <|python_tag|>${objects}`, 'So <|: ', 2],
  [
    'Llama, a list for arguments',
    '{{ tools }}',
    '{"name": "sum", "parameters": [1]}',
    '{"name": "sum", "parameters": [1]}',
    0,
  ],
  ['Mistral, after text', '{{ tools }}[TOOL_CALLS]', `I [do]:[TOOL_CALLS] ${JSON.stringify(CALLS)}`, 'I [do]:', 2],
  ['Mistral, names', '{{ tools }}[TOOL_CALLS][ARGS]', named, '', 2],
  ['Mistral, names and ids', '{{ tools }}[TOOL_CALLS][CALL_ID][ARGS]', withIds, '', 2],
  ['Mistral, names, after text', '{{ tools }}[TOOL_CALLS][ARGS]', `A [TOOL: ${named}`, 'A [TOOL: ', 2],
  ['Mistral, names, line breaks between', '{{ tools }}[TOOL_CALLS][ARGS]', named.replaceAll('}[', '}\n['), '', 2],
  ['Mistral, names, a mark missing', '{{ tools }}[TOOL_CALLS][ARGS]', named.replaceAll('[ARGS]', ''), '', 2],
  ['Mistral, names, cut off', '{{ tools }}[TOOL_CALLS][ARGS]', named.slice(0, -1), named.slice(0, -1), 0],
  ['Mistral, names, text behind', '{{ tools }}[TOOL_CALLS][ARGS]', `${named}.`, `${named}.`, 0],
  [
    'Mistral, a name that is not there',
    '{{ tools }}[TOOL_CALLS][ARGS]',
    `[TOOL_CALLS]rm[ARGS]{}${named}`,
    `[TOOL_CALLS]rm[ARGS]{}${named}`,
    0,
  ],
  [
    'Mistral, a list for arguments behind a name',
    '{{ tools }}[TOOL_CALLS][ARGS]',
    '[TOOL_CALLS]sum[ARGS][1]',
    '[TOOL_CALLS]sum[ARGS][1]',
    0,
  ],
  ['Phi', '{{ tools }}<|tool_call|>', `<|tool_call|>${list}<|/tool_call|>`, '', 2],
  [
    'Phi, a call in each pair of marks',
    '{{ tools }}<|tool_call|>',
    CALLS.map((call) => `<|tool_call|>${JSON.stringify(call)}<|/tool_call|>`).join(''),
    '',
    2,
  ],
  ['Phi, after text', '{{ tools }}<|tool_call|>', `a <| b<|tool_call|>${list}<|/tool_call|>`, 'a <| b', 2],
  ['Granite', '{{ tools }}<|tool_call|>', `<|tool_call|>${list}`, '', 2],
  ['Granite, its mark spelled otherwise', '{{ tools }}<|tool_call|>', `<tool_call>${list}`, '', 2],
  ['Granite, its mark not shown', '{{ tools }}<|tool_call|>', ` ${list}`, '', 2],
  ['Granite, no call', '{{ tools }}<|tool_call|>', '<|tool_call|>[]', '<|tool_call|>[]', 0],
  ['Granite, a list that is none', '{{ tools }}<|tool_call|>', '<|tool_call|>[{]', '<|tool_call|>[{]', 0],
  ['Hermes, a list in its marks', '{{ tools }}<tool_call>', `<tool_call>\n${list}\n</tool_call>`, '', 2],
  ['nothing', '{{ tools }}', '', '', 0],
]

describe('calls of tools, told from text', () => {
  it.each(WRITTEN)('%s', (_, template, written, text, count) => {
    const read = (pieces: readonly string[]) => {
      const reader = new ToolCallReader(toolForm(template) as ToolForm, NAMES)
      const certain = pieces.map((piece) => reader.push(piece)).join('')
      const { text: rest, calls } = reader.end()
      return { text: certain + rest, calls: calls.map((call) => call.function) }
    }
    const expected = CALLS.slice(0, count).map((call) => ({ ...call, arguments: JSON.stringify(call.arguments) }))
    expect(read([written])).toEqual({ text, calls: expected })
    expect(read([...written])).toEqual({ text, calls: expected })
    fc.assert(
      fc.property(fc.array(fc.nat(written.length)), (cuts) => {
        const at = [0, ...cuts.sort((a, b) => a - b), written.length]
        const pieces = at.slice(1).map((end, i) => written.slice(at[i], end))
        expect(read(pieces)).toEqual({ text, calls: expected })
      }),
    )
  })

  /** How each family writes calls, given as name and JSON of the arguments. */
  const FAMILIES: Readonly<
    Record<string, { template: string; write: (calls: readonly [string, string][]) => string }>
  > = {
    Hermes: {
      template: '{{ tools }}<tool_call>',
      write: (calls) => calls.map((one) => `<tool_call>\n${object(one)}\n</tool_call>`).join('\n'),
    },
    Llama: { template: '{{ tools }}', write: (calls) => calls.map(object).join('; ') },
    Mistral: {
      template: '{{ tools }}[TOOL_CALLS]',
      write: (calls) => `[TOOL_CALLS] [${calls.map(object).join(', ')}]`,
    },
    'newer Mistral': {
      template: '{{ tools }}[TOOL_CALLS][ARGS]',
      write: (calls) => calls.map(([name, values]) => `[TOOL_CALLS]${name}[CALL_ID]123456789[ARGS]${values}`).join(''),
    },
    Phi: {
      template: '{{ tools }}<|tool_call|><|/tool_call|>',
      write: (calls) => `<|tool_call|>[${calls.map(object).join(',')}]<|/tool_call|>`,
    },
    Granite: {
      template: '{{ tools }}<|tool_call|>',
      write: (calls) => `<|tool_call|>[${calls.map(object).join(', ')}]`,
    },
  }
  const object = ([name, values]: [string, string]) => `{"name": "${name}", "arguments": ${values}}`

  const key = fc.constantFrom('name', 'arguments', 'parameters', '\\"}', 'a')
  const leaf = fc.oneof(
    fc.constantFrom('12345678901234567890', '-0', '1.0', '1e400', '0.10000000000000000001', 'null', 'true'),
    fc.constantFrom('"[ARGS]{"', '"\\\\"', '"[TOOL_CALLS]time[ARGS]{}"', '"\\u0041}]</tool_call>"'),
    fc.string({ unit: 'binary' }).map((text) => JSON.stringify(text)),
  )
  /** JSON as models write it, white space and all. */
  const json = fc.letrec<{ value: string; object: string }>((tie) => ({
    object: fc
      .array(fc.tuple(key, tie('value')), { maxLength: 3 })
      .map((entries) => `{${entries.map(([name, value]) => `"${name}" :\n ${value}`).join(' , ')}}`),
    value: fc.oneof(
      { maxDepth: 2 },
      leaf,
      tie('object'),
      fc.array(tie('value'), { maxLength: 2 }).map((values) => `[${values.join(', ')} ]`),
    ),
  }))
  const calls = fc.array(fc.tuple(fc.constantFrom('time', 'sum'), json.object), { minLength: 1, maxLength: 3 })

  it.each(Object.keys(FAMILIES))('gives arguments back letter for letter, however the text is cut: %s', (family) => {
    const { template, write } = FAMILIES[family]!
    fc.assert(
      fc.property(calls, fc.array(fc.nat(400)), fc.boolean(), (wanted, cuts, single) => {
        const written = `Well, ${write(wanted)}`.slice(family === 'Llama' ? 'Well, '.length : 0)
        const reader = new ToolCallReader(toolForm(template) as ToolForm, NAMES, single)
        const at = [0, ...cuts.sort((a, b) => a - b), written.length]
        let text = ''
        for (const [i, end] of at.slice(1).entries()) {
          text += reader.push(written.slice(at[i], end))
          // What comes behind the first call is as good as not written.
          if (reader.done) break
        }
        const { text: rest, calls } = reader.end()
        expect(text + rest).toBe(family === 'Llama' ? '' : 'Well, ')
        const expected = wanted.map(([name, values]) => ({ name, arguments: values }))
        expect(calls.map((call) => call.function)).toEqual(single ? expected.slice(0, 1) : expected)
        expect(reader.done).toBe(single)
      }),
    )
  })

  it('takes arguments that are given as a string for that string, and none for an empty object', () => {
    const reader = new ToolCallReader(toolForm('{{ tools }}') as ToolForm, NAMES)
    const values = '{ "of": [9007199254740993] }'
    reader.push(`{"name": "sum", "arguments": ${JSON.stringify(values)}}; {"name": "time", "parameters": null}`)
    expect(reader.end().calls.map((call) => call.function.arguments)).toEqual([values, '{}'])
    for (const wrong of ['"sum of [1]"', '"[1]"', '1', '{"of": [01]}', '{"of": 1,}']) {
      const reader = new ToolCallReader(toolForm('{{ tools }}') as ToolForm, NAMES)
      reader.push(`{"name": "sum", "arguments": ${wrong}}`)
      expect(reader.end().calls).toEqual([])
    }
  })

  it('is done with the first call where one is wanted, whatever it is in', () => {
    const read = (template: string, text: string) => {
      const reader = new ToolCallReader(toolForm(template) as ToolForm, NAMES, true)
      const at = [...text].findIndex((character) => {
        reader.push(character)
        return reader.done
      })
      return { read: text.slice(0, at + 1), calls: reader.end().calls.length }
    }
    const [time, rm] = ['{"name": "time", "arguments": {}}', '{"name": "rm", "arguments": {}}']
    expect(read('{{ tools }}[TOOL_CALLS]', `[TOOL_CALLS] [${time}, ${rm}]`)).toEqual({
      read: `[TOOL_CALLS] [${time}`,
      calls: 1,
    })
    expect(read('{{ tools }}', `${time}; ${rm}`)).toEqual({ read: time, calls: 1 })
    expect(read('{{ tools }}', `${rm}; ${time}`)).toEqual({ read: '', calls: 0 })
  })

  it('holds no text back that can be no call', () => {
    const reader = new ToolCallReader(toolForm('{{ tools }}<tool_call>') as ToolForm, NAMES)
    expect(reader.push('a < b')).toBe('a < b')
    expect(reader.push(' <tool')).toBe(' ')
    expect(reader.push('s>')).toBe('<tools>')
    const objects = new ToolCallReader(toolForm('{{ tools }}') as ToolForm, NAMES)
    expect(objects.push('{ "n')).toBe('')
    expect(objects.push('umber": 1')).toBe('{ "number": 1')
  })
})

const tool = (name: string, parameters?: object): Tool => ({
  type: 'function',
  function: { name, description: `The ${name}.`, ...(parameters && { parameters }) },
})
const SUM = tool('sum', {
  type: 'object',
  properties: { of: { $ref: '#/$defs/numbers' } },
  required: ['of'],
  additionalProperties: false,
  $defs: { numbers: { enum: [[1], [2, 3]] } },
})
const tools = [tool('time', { type: 'object', properties: {}, additionalProperties: false }), SUM]
const PLAIN = '{{ bos_token }}{% for m in messages %}[{{ m.role[0] }}]{{ m.content }}{% endfor %}[a]'
const TOOL_USE =
  '{{ bos_token }}{% for t in tools or [] %}({{ t.function.name }}){% endfor %}{% for m in messages %}[{{ m.role[0] }}]{{ m.content }}' +
  "{% for c in m.tool_calls or [] %}<tool_call>{{ c.function.arguments.of[0] }}{% endfor %}{{ m.tool_call_id or '' }}{% endfor %}[a]"

/** As Hermes models have them: one template for chats, another for chats with tools. */
const TEMPLATES = [
  { name: 'default', template: PLAIN },
  { name: 'tool_use', template: TOOL_USE },
]

describe('a template', () => {
  it('that reads tools of a message alone knows none', () => {
    const phi =
      "{% if 'tools' in message %}{{ '<|tool|>' + message['tools'] + message.tools + '<|/tool|>' }}{% endif %}"
    expect(toolForm(phi)).toBeUndefined()
    expect(toolForm(`${phi}{% if tools %}<|tool_call|>{% endif %}`)).toBeDefined()
  })
})

describe('a choice of tools', () => {
  const wanted = (changes: Partial<ChatRequest>) =>
    toolsWanted({ messages: [], tools, ...changes }, {
      chatTemplate: async (options: object) => ('tools' in options ? '{{ tools }}' : ''),
    } as unknown as ModelText)

  it('is open where nothing is said, and tells of no tool where none may be called', async () => {
    for (const choice of [{}, { tool_choice: null }, { tool_choice: 'auto' }] as Partial<ChatRequest>[])
      expect((await wanted(choice))!.options).not.toHaveProperty('format')
    const text = { type: 'text' } as const
    expect((await wanted({ tool_choice: 'required', response_format: text }))!.options).toHaveProperty('format')
    expect(await wanted({ tool_choice: 'none' })).toBeUndefined()
  })

  it('takes a tool whose parameters are null for one with any', async () => {
    const [bare] = [{ type: 'function', function: { name: 'time', parameters: null } }] as [Tool]
    const { schema } = (await wanted({ tools: [bare], tool_choice: 'required' }))!.options.format as {
      schema: object
    }
    expect(schema).toMatchObject({ anyOf: [{ properties: { arguments: { type: 'object' } } }] })
  })
})

describe('parallel calls', () => {
  /** A model that writes `pieces`, a token each, and how many of them it was asked for. */
  function writing(pieces: readonly string[]) {
    const asked = { tokens: 0, ended: 0 }
    async function* chat() {
      try {
        yield { kind: 'prompt', text: '', tokens: [1], position: 0 }
        for (const text of pieces) {
          asked.tokens++
          yield { kind: 'token', text, token: 2 }
        }
        yield { kind: 'end', text: '', finishReason: 'stop', tokens: pieces.map(() => 2) }
      } finally {
        asked.ended++
      }
    }
    const session = { chat, stats: () => ({ skip: { attention: 0, mlp: 0, total: 0 } }), dispose: () => {} }
    const text = { chatTemplate: async () => '{{ tools }}<tool_call>' }
    const completions = new ChatCompletions({ text, createSession: () => session } as unknown as CompletionHost)
    return { completions, asked }
  }
  const messages = [{ role: 'user', content: 'hi' }]
  const pieces = ['So: ', '<tool_call>', '{"name": "time", ', '"arguments": {', '}}', '\n</tool_call>', ...tagged]

  it('are all given, unless one is asked for: nothing is then generated behind it', async () => {
    for (const [parallel, count] of [
      [undefined, 3],
      [null, 3],
      [true, 3],
      [false, 1],
    ] as const) {
      const { completions, asked } = writing(pieces)
      const request = { messages, tools, ...(parallel !== undefined && { parallel_tool_calls: parallel }) }
      const { choices, usage } = await completions.create(request)
      expect(choices[0]!.message).toMatchObject({ content: 'So: ', tool_calls: { length: count } })
      expect(choices[0]!.finish_reason).toBe('tool_calls')
      expect(asked).toEqual({ tokens: parallel === false ? 5 : pieces.length, ended: 1 })
      expect(usage).toMatchObject({ prompt_tokens: 1, completion_tokens: asked.tokens })
    }
  })

  it('are one in a stream where one is asked for', async () => {
    const { completions, asked } = writing(pieces)
    const stream = await completions.create({ messages, tools, parallel_tool_calls: false, stream: true })
    const deltas: unknown[] = []
    for await (const { choices } of stream) deltas.push(choices[0]!.delta, choices[0]!.finish_reason)
    expect(deltas).toMatchObject([
      { role: 'assistant' },
      null,
      { content: 'So: ' },
      null,
      { tool_calls: [{ index: 0, function: { name: 'time', arguments: '{}' } }] },
      null,
      {},
      'tool_calls',
    ])
    expect(asked).toEqual({ tokens: 5, ended: 1 })
  })

  it('do not end a text without calls', async () => {
    const { completions, asked } = writing(['{"name": ', '"Ann"}', ', {}'])
    const { choices } = await completions.create({ messages, tools, parallel_tool_calls: false })
    expect(choices[0]).toMatchObject({ finish_reason: 'stop', message: { content: '{"name": "Ann"}, {}' } })
    expect(asked.tokens).toBe(3)
  })
})

describeSdk.anywhere('tools', (bench) => {
  const request: ChatRequest & { stream?: false } = {
    messages: [{ role: 'user', content: 'hi' }],
    max_tokens: 120,
    temperature: 1,
    tools,
  }
  const use = async <T>(run: (model: Model) => Promise<T>): Promise<T> => {
    const { model } = await bench().load({ checkpoint: { chatTemplate: TEMPLATES } })
    try {
      return await run(model)
    } finally {
      model.dispose()
    }
  }

  it('reach the template, and so do calls and what tools answered', () =>
    use(async (model) => {
      const call = {
        id: 'abcdefghi',
        type: 'function',
        function: { name: 'sum', arguments: '{"of":[2.00,3]}' },
      } as const
      const messages = [
        { role: 'user', content: 'hi' },
        { role: 'assistant', content: null, tool_calls: [call] },
        { role: 'tool', tool_call_id: 'abcdefghi', content: '5' },
      ]
      const { usage } = await model.chat.completions.create({ ...request, messages, max_tokens: 1 })
      const expected = '(time)(sum)[u]hi[a]<tool_call>2.00[t]5abcdefghi[a]'
      // BOS, and one token per character.
      expect(usage.prompt_tokens).toBe(1 + expected.length)
      const none = await model.chat.completions.create({ ...request, messages, max_tokens: 1, tool_choice: 'none' })
      // The template for chats without tools.
      expect(none.usage.prompt_tokens).toBe(1 + '[u]hi[a][t]5[a]'.length)
    }))

  it('are called with arguments of their schema where a call is demanded, whole and streamed by the official client', () =>
    use(async (model) => {
      const client = new OpenAI({ baseURL: 'http://local/v1', apiKey: 'none', fetch: openAiFetch(model) })
      const wanted = { ...(request as OpenAI.ChatCompletionCreateParamsNonStreaming), model: 'tiny', seed: 4 }
      const named = { ...wanted, tool_choice: { type: 'function' as const, function: { name: 'sum' } } }
      const { message, finish_reason } = (await client.chat.completions.create(named)).choices[0]!
      expect(finish_reason).toBe('tool_calls')
      expect(message.content).toBeNull()
      const [call] = message.tool_calls as OpenAI.ChatCompletionMessageFunctionToolCall[]
      expect(call).toMatchObject({ id: expect.stringMatching(/^[a-z0-9]{9}$/), type: 'function' })
      expect(call!.function.name).toBe('sum')
      expect([[1], [2, 3]]).toContainEqual(JSON.parse(call!.function.arguments).of)

      const stream = client.chat.completions.stream({ ...named, stream: true, tool_choice: 'required' })
      const final = await stream.finalChatCompletion()
      expect(final.choices[0]!.finish_reason).toBe('tool_calls')
      const [streamed] = final.choices[0]!.message.tool_calls as OpenAI.ChatCompletionMessageFunctionToolCall[]
      expect(['time', 'sum']).toContain(streamed!.function.name)
    }))

  it('may be called with marks that are special tokens: the text then holds them', async () => {
    const checkpoint = {
      chatTemplate: `{{ tools }}<tool_call>{{ messages[0].content }}`,
      special: ['<tool_call>', '</tool_call>'],
      vocabSize: 102,
    }
    const { model } = await bench().load({ checkpoint })
    const content = async (changes: Partial<ChatRequest>) => {
      const wanted = {
        ...request,
        max_tokens: 2,
        temperature: 0,
        logit_bias: { 100: 100 },
        ...changes,
        stream: false as const,
      }
      return (await model.chat.completions.create(wanted)).choices[0]!.message.content
    }
    // Marks alone are no call.
    expect(await content({})).toBe('<tool_call><tool_call>')
    expect(await content({ tools: [] })).toBe('')
    model.dispose()
  })

  it('are what they must be', () =>
    use(async (model) => {
      const create = (changes: object) => model.chat.completions.create({ ...request, ...changes } as ChatRequest)
      await expectError(create({ tools: [{ type: 'retrieval' }] }), 'bad-option')
      await expectError(create({ tools: [{ type: 'function', function: {} }] }), 'bad-option')
      await expectError(create({ tools: 'time' }), 'bad-option')
      await expectError(create({ tool_choice: { type: 'function', function: { name: 'rm' } } }), 'bad-option')
      await expectError(create({ tool_choice: 'always' }), 'bad-option')
      await expectError(create({ parallel_tool_calls: 'no' }), 'bad-option')
      await expectError(create({ tool_choice: 'required', tools: [] }), 'bad-option')
      const messages = [{ role: 'assistant', content: null, tool_calls: [{ id: 'a', type: 'function', function: {} }] }]
      await expectError(create({ messages }), 'bad-option')
      const required = { tool_choice: 'required', response_format: { type: 'json_object' } }
      await expectError(create(required), 'bad-option')
      await expectError(bench().model.chat.completions.create(request), 'unsupported')
    }))
})
