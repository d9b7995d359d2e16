import { afterEach, describe, expect, it, vi } from 'vitest'
import { type ChatMessage, findChatTemplate } from '../../src/text/chat-template.js'
import { strftime } from '../../src/text/strftime.js'

const system: ChatMessage = { role: 'system', content: 'Be brief.' }
const hello: ChatMessage = { role: 'user', content: ' Hello ' }
const answer: ChatMessage = { role: 'assistant', content: 'Hi.' }
const again: ChatMessage = { role: 'user', content: 'More' }

const CHATML = `{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\\n' + message['content'] + '<|im_end|>' + '\\n' }}{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}`

const QWEN = `{%- if tools %}
    {{- raise_exception('no tools were given') }}
{%- endif %}
{%- if messages[0]['role'] == 'system' %}
    {{- '<|im_start|>system\\n' + messages[0].content + '<|im_end|>\\n' }}
{%- else %}
    {{- '<|im_start|>system\\nYou are helpful.<|im_end|>\\n' }}
{%- endif %}
{%- for message in messages %}
    {%- if message.role != 'system' or not loop.first %}
        {{- '<|im_start|>' + message.role + '\\n' + message.content + '<|im_end|>\\n' }}
    {%- endif %}
{%- endfor %}
{%- if add_generation_prompt %}
    {{- '<|im_start|>assistant\\n' }}
{%- endif %}`

const LLAMA_3 = `{{- bos_token }}
{%- if not date_string is defined %}
    {%- set date_string = strftime_now("%d %b %Y") %}
{%- endif %}
{%- if tools is not none %}{{- 'tools' }}{%- endif %}
{%- for message in messages %}
    {{- '<|start_header_id|>' + message['role'] + '<|end_header_id|>\\n\\n' }}
    {%- if message['role'] == 'system' %}{{- 'Today Date: ' + date_string + '\\n\\n' }}{% endif %}
    {{- message['content'] | trim + '<|eot_id|>' }}
{%- endfor %}
{%- if add_generation_prompt %}
    {{- '<|start_header_id|>assistant<|end_header_id|>\\n\\n' }}
{%- endif %}`

const MISTRAL = `{{ bos_token -}}
{% for message in messages %}
  {% if (message['role'] == 'user') != (loop.index0 % 2 == 0) %}
    {{ raise_exception('Conversation roles must alternate user/assistant/user/assistant/...') }}
  {% endif %}
  {% if message['role'] == 'user' %}
{{ '[INST] ' + message['content'] + ' [/INST]' -}}
  {% else %}
{{ message['content'] + eos_token -}}
  {% endif %}
{% endfor %}`

async function render(
  config: unknown,
  messages: readonly ChatMessage[],
  options?: { addGenerationPrompt?: boolean },
): Promise<string> {
  const template = await findChatTemplate(config, undefined)
  return template!.render(messages, options)
}

afterEach(() => {
  vi.useRealTimers()
})

describe('templates in the style of', () => {
  it('ChatML', async () => {
    const text = '<|im_start|>user\n Hello <|im_end|>\n'
    expect(await render({ chat_template: CHATML }, [hello], { addGenerationPrompt: false })).toBe(text)
    expect(await render({ chat_template: CHATML }, [hello])).toBe(`${text}<|im_start|>assistant\n`)
  })

  it('Qwen 2, with its default system prompt', async () => {
    const turn = '<|im_start|>user\n Hello <|im_end|>\n<|im_start|>assistant\n'
    const config = { chat_template: QWEN }
    expect(await render(config, [hello])).toBe(`<|im_start|>system\nYou are helpful.<|im_end|>\n${turn}`)
    expect(await render(config, [system, hello])).toBe(`<|im_start|>system\nBe brief.<|im_end|>\n${turn}`)
  })

  it('Llama 3, with today in English', async () => {
    vi.useFakeTimers({ now: new Date(2025, 9, 5) })
    const config = { chat_template: LLAMA_3, bos_token: { content: '<|begin_of_text|>', special: true } }
    expect(await render(config, [system, hello])).toBe(
      '<|begin_of_text|><|start_header_id|>system<|end_header_id|>\n\nToday Date: 05 Oct 2025\n\nBe brief.<|eot_id|>' +
        '<|start_header_id|>user<|end_header_id|>\n\nHello<|eot_id|><|start_header_id|>assistant<|end_header_id|>\n\n',
    )
  })

  it('Mistral, which demands that roles alternate', async () => {
    const config = { chat_template: MISTRAL, bos_token: '<s>', eos_token: '</s>' }
    expect(await render(config, [hello, answer, again])).toBe('<s>[INST]  Hello  [/INST]Hi.</s>[INST] More [/INST]')
    await expect(render(config, [hello, again])).rejects.toMatchObject({
      code: 'bad-option',
      message: expect.stringContaining('Conversation roles must alternate'),
    })
  })
})

describe('findChatTemplate', () => {
  it('prefers chat_template.jinja', async () => {
    const template = await findChatTemplate({ chat_template: 'config', bos_token: '<s>' }, '{{ bos_token }}jinja')
    expect(template!.render([hello])).toBe('<s>jinja')
  })

  it('takes the default of a list', async () => {
    const tools = { name: 'tool_use', template: 'tools' }
    const list = [tools, { name: 'default', template: 'default' }]
    expect(await render({ chat_template: list }, [hello])).toBe('default')
    expect(await findChatTemplate({ chat_template: [tools] }, undefined)).toBeUndefined()
  })

  it('takes that for tools where there are some', async () => {
    const list = [
      { name: 'tool_use', template: '{{ bos_token }}{{ tools[0].name }}' },
      { name: 'default', template: 'default' },
    ]
    const template = (await findChatTemplate({ chat_template: list, bos_token: '<s>' }, undefined))!
    expect(template.render([hello], { tools: [{ name: 'sum' }] })).toBe('<s>sum')
    expect(template.render([hello])).toBe('default')
    expect([template.sourceFor(), template.sourceFor({ tools: true })]).toEqual(['default', list[0]!.template])
    const single = (await findChatTemplate({ chat_template: 'one' }, undefined))!
    expect(single.sourceFor({ tools: true })).toBe('one')
  })

  it('finds none where there is none', async () => {
    expect(await findChatTemplate(undefined, undefined)).toBeUndefined()
    expect(await findChatTemplate({ chat_template: null }, undefined)).toBeUndefined()
  })

  it('refuses a template of another shape, and one with a syntax error', async () => {
    await expect(findChatTemplate({ chat_template: 3 }, undefined)).rejects.toMatchObject({ code: 'bad-file' })
    await expect(findChatTemplate({ chat_template: [{ name: 'default' }] }, undefined)).rejects.toMatchObject({
      code: 'bad-file',
    })
    await expect(findChatTemplate({}, '{% if x %}')).rejects.toMatchObject({ code: 'bad-file' })
  })
})

describe('ChatTemplate.render', () => {
  it('refuses an empty conversation', async () => {
    await expect(render({ chat_template: CHATML }, [])).rejects.toMatchObject({ code: 'bad-option' })
  })

  it('reports what it cannot evaluate', async () => {
    await expect(render({ chat_template: "{{ 'a' | nofilter }}" }, [hello])).rejects.toMatchObject({
      code: 'unsupported',
      message: expect.stringContaining('nofilter'),
    })
  })

  it('offers range, and the list of additional special tokens', async () => {
    const loops = '{% for i in range(3) %}{{ i }}{% endfor %} {% for i in range(5, 0, -2) %}{{ i }}{% endfor %}'
    expect(await render({ chat_template: loops }, [hello])).toBe('012 531')
    const config = { chat_template: '{{ additional_special_tokens[1] }}', additional_special_tokens: ['<a>', '<b>'] }
    expect(await render(config, [hello])).toBe('<b>')
  })
})

describe('strftime', () => {
  it('writes dates as Python does in English, and leaves other directives', () => {
    const date = new Date(2024, 1, 3, 0, 5, 9)
    expect(strftime(date, '%A %a %d %B %b %m %Y %y')).toBe('Saturday Sat 03 February Feb 02 2024 24')
    expect(strftime(date, '%H:%M:%S %I %p 100%% %Q')).toBe('00:05:09 12 AM 100% %Q')
  })
})
