import fc from 'fast-check'
import OpenAI from 'openai'
import { describe, expect, it } from 'vitest'
import { type ChatRequest, type Model, type ModelText, openAiFetch, type Tool } from '../../src/index.js'
import { type ToolForm, toolForm } from '../../src/sdk/openai/tools/forms.js'
import { ToolCallReader } from '../../src/sdk/openai/tools/reader.js'
import { toolsWanted } from '../../src/sdk/openai/tools/request.js'
import { describeSdk, expectError } from './support.js'

const NAMES = new Set(['time', 'sum'])
const CALLS = [
  { name: 'time', arguments: {} },
  { name: 'sum', arguments: { of: [1, 2], note: 'a "b\\"};{"c}</tool_call><tool_call>[TOOL_CALLS]<|python_tag|>' } },
]
const tagged = CALLS.map((call) => `<tool_call>\n${JSON.stringify(call)}\n</tool_call>`).join('\n')
const objects = CALLS.map(({ name, arguments: parameters }) => JSON.stringify({ name, parameters })).join('; ')

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
      const call = { id: 'abcdefghi', type: 'function', function: { name: 'sum', arguments: '{"of":[2,3]}' } } as const
      const messages = [
        { role: 'user', content: 'hi' },
        { role: 'assistant', content: null, tool_calls: [call] },
        { role: 'tool', tool_call_id: 'abcdefghi', content: '5' },
      ]
      const { usage } = await model.chat.completions.create({ ...request, messages, max_tokens: 1 })
      const expected = '(time)(sum)[u]hi[a]<tool_call>2[t]5abcdefghi[a]'
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
      await expectError(create({ tool_choice: 'required', tools: [] }), 'bad-option')
      const messages = [{ role: 'assistant', content: null, tool_calls: [{ id: 'a', type: 'function', function: {} }] }]
      await expectError(create({ messages }), 'bad-option')
      const required = { tool_choice: 'required', response_format: { type: 'json_object' } }
      await expectError(create(required), 'bad-option')
      await expectError(bench().model.chat.completions.create(request), 'unsupported')
    }))
})
