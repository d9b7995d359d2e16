/** A call as a model wrote it. */
export interface ParsedCall {
  readonly name: string
  readonly arguments: object
}

/** How the models of a family write calls of tools. */
export interface ToolForm {
  /** Where calls begin, or may begin once more is there; the length of the text where they do not. */
  begin(text: string): number
  /** The calls that a whole text is from its `begin` on; undefined where it is something else. */
  parse(text: string): ParsedCall[] | undefined
}

const OPEN = '<tool_call>'

/** Hermes, Qwen: `<tool_call>{"name": …, "arguments": {…}}</tool_call>`, as often as there are calls, after text or without. */
const TAGGED: ToolForm = {
  begin(text) {
    const at = text.indexOf(OPEN)
    if (at >= 0) return at
    for (let n = Math.min(OPEN.length - 1, text.length); n > 0; n--)
      if (text.endsWith(OPEN.slice(0, n))) return text.length - n
    return text.length
  },
  parse(text) {
    const blocks = [...text.matchAll(/\s*<tool_call>\s*([\s\S]*?)\s*<\/tool_call>\s*/g)]
    if (blocks.map(([whole]) => whole).join('') !== text) return undefined
    return all(blocks.map(([, body = '']) => json(body)))
  },
}

/** Nothing but calls, from the first character on, which is one of `openers`. */
function alone(openers: readonly string[], parse: ToolForm['parse']): ToolForm {
  return {
    begin(text) {
      const start = text.trimStart()
      const may = openers.some((opener) => start.startsWith(opener) || opener.startsWith(start))
      return may ? 0 : text.length
    },
    parse,
  }
}

/** Llama 3.1 and later: `{"name": …, "parameters": {…}}`, several with a semicolon between them. */
const OBJECT = alone(['{', '<|python_tag|>'], (text) => {
  const body = text.replace(/^\s*<\|python_tag\|>/, '')
  const one = json(body)
  return all(one === undefined ? split(body).map(json) : [one])
})

/** Mistral: `[TOOL_CALLS] [{"name": …, "arguments": {…}}, …]`. */
const LIST = alone(['[TOOL_CALLS]', '['], (text) => {
  const list = json(text.replace(/^\s*\[TOOL_CALLS\]/, ''))
  return Array.isArray(list) ? all(list) : undefined
})

/** One call under a grammar, whatever the model's own form is. */
export const FORCED = alone(['{'], (text) => all([json(text)]))

/** The form that a chat template writes calls in; undefined where it knows no tools. */
export function toolForm(template: string): ToolForm | undefined {
  if (!/\btools\b/.test(template)) return undefined
  if (template.includes('[TOOL_CALLS]')) return LIST
  return template.includes(OPEN) ? TAGGED : OBJECT
}

function json(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

/** At the semicolons between objects. */
function split(text: string): string[] {
  return text.split(/(?<=\})\s*;\s*(?=\{)/)
}

function all(values: readonly unknown[]): ParsedCall[] | undefined {
  const calls = values.map(call)
  return calls.length > 0 && calls.every((one) => one !== undefined) ? calls : undefined
}

function call(value: unknown): ParsedCall | undefined {
  if (typeof value !== 'object' || value === null) return undefined
  const { name, arguments: given, parameters } = value as { name?: unknown; arguments?: unknown; parameters?: unknown }
  const wanted = given ?? parameters ?? {}
  const values = typeof wanted === 'string' ? json(wanted) : wanted
  if (typeof name !== 'string' || typeof values !== 'object' || values === null) return undefined
  return { name, arguments: values }
}
