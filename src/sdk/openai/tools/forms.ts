import { parseJson, parseObject } from '../parse-json.js'

/** What tells of calls in the answers of a family of models. */
export interface ToolForm {
  /** What calls follow, anywhere in an answer; '' where an answer is nothing else. */
  readonly openers: readonly string[]
  /** Many tokenizers count them among their special tokens, which a text holds only where it is asked to; models lack some. */
  readonly marks: readonly string[]
}

/** By what a template holds. All read all SHAPES: models stray from their own more than they write one for something else. */
const FORMS: readonly [RegExp, openers: string[], others: string[]][] = [
  // Mistral.
  [/\[TOOL_CALLS]/, ['[TOOL_CALLS]'], ['[CALL_ID]', '[ARGS]']],
  // Hermes, Qwen, Granite, Phi.
  [/<\|?tool_call\|?>/, ['<tool_call>', '<|tool_call|>'], ['</tool_call>', '<|/tool_call|>']],
  // Llama 3.1 and later.
  [/\btools\b/, ['<|python_tag|>'], []],
]

/** One call under a grammar, whatever the model's own form is. */
export const FORCED: ToolForm = { openers: [''], marks: [] }

/** The form that a chat template writes calls in; undefined where it knows no tools. Those of a message, as Phi's knows, are not these. */
export function toolForm(template: string): ToolForm | undefined {
  if (!/(?<!['".])\btools\b/.test(template)) return undefined
  const [, openers, others] = FORMS.find(([told]) => told.test(template)) as (typeof FORMS)[number]
  return { openers, marks: [...openers, ...others] }
}

/** What calls without a mark begin with, in a list or not, white space apart: some models leave the mark out. */
const BARE = ['{"name"', '{"arguments"', '{"parameters"', '{"type"']

/**
 * Where calls begin in an answer, or may begin once more is there; its length where they do not. What lies before `given` is text
 * for certain.
 */
export function callsBegin({ openers }: ToolForm, text: string, given: number): number {
  const mayBegin = (rest: string) => (mark: string) => rest.startsWith(mark) || mark.startsWith(rest)
  // White space in front of calls is no text.
  const starts = () => [...openers, ...BARE].some(mayBegin(text.replace(/^\s*\[(?=\s*(\{|$))|\s+/g, '')))
  if (given === 0 && starts()) return 0
  let at = given
  while (at < text.length && !openers.some(mayBegin(text.slice(at)))) at++
  return at
}

/**
 * The frames of calls, with `\0` for every list and object: a call, a list of calls, or arguments where a name is in front. The last mark may
 * be missing.
 */
const SHAPES = [
  // Llama, older Mistral: `[TOOL_CALLS] [{"name": …, "arguments": {…}}, …]`, `{"name": …, "parameters": {…}}; {…}`.
  /^\s*(<\|python_tag\|>|\[TOOL_CALLS])?\s*\0([\s;]*\0)*\s*$/,
  // Hermes, Qwen, Granite, Phi: `<tool_call>{"name": …, "arguments": {…}}</tool_call>`, `<|tool_call|>[{…}, …]<|/tool_call|>`.
  /^\s*(<\|?tool_call\|?>\s*\0\s*(<\|?\/tool_call\|?>\s*|$))+$/,
  // Newer Mistral: `[TOOL_CALLS]name[CALL_ID]id[ARGS]{…}`.
  /^\s*(\[TOOL_CALLS][^\s[\0]+(\[CALL_ID]\w*)?(\[ARGS])?\s*\0\s*)+$/,
]

/** A call as a model wrote it. */
export interface ParsedCall {
  readonly name: string
  /** The JSON of an object, letter for letter: numbers may have more digits than JavaScript's. */
  readonly arguments: string
}

/** The calls that a whole text is; undefined where it is something else. */
export function parseCalls(text: string): readonly ParsedCall[] | undefined {
  const { frame, values } = cut(text)
  if (!SHAPES.some((shape) => shape.test(frame))) return undefined
  const names = frame.match(/(?<=\[TOOL_CALLS])[^\s[\0]+/g)
  const calls = values
    .flatMap((value, i) => {
      if (names) return `{"name":${JSON.stringify(names[i])},"arguments":${value}}`
      return value.startsWith('[') ? [members(value)].flat(2) : value
    })
    .map(call)
  return calls.length > 0 && calls.every((one) => one !== undefined) ? calls : undefined
}

function call(text: unknown): ParsedCall | undefined {
  if (!parseObject(text)) return undefined
  const { name, arguments: given, parameters } = members(text as string) as Record<string, unknown>
  const [values = '{}'] = [given ?? parameters ?? []].flat()
  return typeof name === 'string' && parseObject(values) ? { name, arguments: values as string } : undefined
}

/** A list or an object, parsed; each list and object in it is a list of its text. */
function members(text: string): unknown {
  const { frame, values } = cut(text, -1)
  let i = 0
  return parseJson(frame.replace(/\0/g, () => JSON.stringify([values[i++]])))
}

/** The lists and objects of a text, or at depth -1 those of the list or object that it is, and what is around them. */
function cut(text: string, from = 0): { frame: string; values: string[] } {
  const values: string[] = []
  let frame = ''
  let depth = from
  // Brackets in strings and in marks are none.
  for (const [token] of text.matchAll(/\[(?:TOOL_CALLS|CALL_ID|ARGS)]|"(?:[^"\\]|\\.)*"|[^\0]/gs)) {
    if ('{['.includes(token) && depth++ === 0) {
      frame += '\0'
      values.push('')
    }
    if (depth > 0) values[values.length - 1] += token
    else frame += token
    if ('}]'.includes(token)) depth--
  }
  return { frame, values }
}
