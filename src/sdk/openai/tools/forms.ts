/** A call as a model wrote it. */
export interface ParsedCall {
  readonly name: string
  readonly arguments: object
}

/** How the models of a family write calls of tools. */
export interface ToolForm {
  /** Many tokenizers count them among their special tokens, which a text holds only where it is asked to. */
  readonly marks: readonly string[]
  /** Where calls begin, or may begin once more is there; the length of the text where they do not. */
  begin(text: string): number
  /** The calls that a whole text is from its `begin` on; undefined where it is something else. */
  parse(text: string): ParsedCall[] | undefined
}

/** What the first call of an answer begins with, white space apart. */
const FIRST_KEYS = ['{"name"', '{"arguments"', '{"parameters"', '{"type"']

/** A form whose calls follow the first of its marks, anywhere, or are bare where the answer begins: some models leave the mark out. */
function marked(marks: readonly [string, ...string[]], bare: readonly string[], parse: ToolForm['parse']): ToolForm {
  const [mark] = marks
  return {
    marks,
    begin(text) {
      // White space in front of calls is no text.
      const start = text.replace(/\s+/g, '')
      if ([mark, ...bare].some((one) => start.startsWith(one) || one.startsWith(start))) return 0
      const at = text.indexOf(mark)
      if (at >= 0) return at
      let partial = Math.min(mark.length - 1, text.length)
      while (!text.endsWith(mark.slice(0, partial))) partial--
      return text.length - partial
    },
    parse,
  }
}

const OPEN = '<tool_call>'

/** Hermes, Qwen: `<tool_call>{"name": …, "arguments": {…}}</tool_call>`, as often as there are calls; the last mark may be missing. */
const TAGGED = marked([OPEN, '</tool_call>'], FIRST_KEYS, (text) => {
  const isMarked = text.trimStart().startsWith(OPEN)
  const [before, after] = isMarked ? [/^\s*<tool_call>\s*/, /^\s*(<\/tool_call>\s*|$)/] : [/^\s*/, /^\s*/]
  return all(objects(text, before, after))
})

/** Llama 3.1 and later: `{"name": …, "parameters": {…}}`, several with a semicolon or a line break between them. */
const OBJECT = marked(['<|python_tag|>'], FIRST_KEYS, (text) =>
  all(objects(text.replace(/^\s*<\|python_tag\|>/, ''), /^\s*/, /^\s*(;(?=\s*\{))?\s*/)),
)

/** Mistral: `[TOOL_CALLS] [{"name": …, "arguments": {…}}, …]`. */
const LIST = marked(
  ['[TOOL_CALLS]'],
  FIRST_KEYS.map((key) => `[${key}`),
  (text) => {
    const list = json(text.replace(/^\s*\[TOOL_CALLS\]/, ''))
    return Array.isArray(list) ? all(list) : undefined
  },
)

/** One call under a grammar, whatever the model's own form is. */
export const FORCED: ToolForm = { marks: [], begin: () => 0, parse: (text) => all([json(text)]) }

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

/** The objects that a whole text consists of, with what is before and after each; none where it is something else. */
function objects(text: string, before: RegExp, after: RegExp): unknown[] {
  const found: unknown[] = []
  let rest = text
  while (rest !== '') {
    const opened = before.exec(rest)
    if (!opened) return []
    rest = rest.slice(opened[0].length)
    const end = objectEnd(rest)
    const closed = after.exec(rest.slice(end))
    if (end === 0 || !closed) return []
    found.push(json(rest.slice(0, end)))
    rest = rest.slice(end + closed[0].length)
  }
  return found
}

/** How long the object is that a text begins with; 0 where there is none. Braces and marks in its strings do not count. */
function objectEnd(text: string): number {
  let depth = 0
  for (const { 0: token, index } of text.matchAll(/"(?:[^"\\]|\\.)*"|[{}]/gs)) {
    if (depth === 0 && index > 0) return 0
    if (token === '{') depth++
    else if (token === '}') depth--
    if (depth <= 0) return depth === 0 && token === '}' ? index + 1 : 0
  }
  return 0
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
  if (typeof name !== 'string' || typeof values !== 'object' || values === null || Array.isArray(values))
    return undefined
  return { name, arguments: values }
}
