import { SkipstoneError } from '../../../errors.js'
import type { ChatOptions } from '../../options.js'
import type { ModelText } from '../../text-api.js'
import { bad } from '../bad-request.js'
import { responseFormat } from '../response-format.js'
import type { ChatRequest } from '../types.js'
import { callSchema } from './call-schema.js'
import { FORCED, toolForm } from './forms.js'
import { ToolCallReader } from './reader.js'

/** What a request's tools come to. */
export interface ToolsWanted {
  /** What the session is told: tools for the template, special tokens that mark calls, the format of a call that has to come. */
  readonly options: ChatOptions
  /** One for every answer. */
  reader(): ToolCallReader
}

interface Tool {
  readonly name: string
  readonly parameters: object
}

/**
 * Checks `tools` and `tool_choice`. Undefined where no tool may be called.
 * @throws `bad-option` for what is malformed, `unsupported` where the model's template knows no tools.
 */
export async function toolsWanted(request: ChatRequest, text: ModelText): Promise<ToolsWanted | undefined> {
  const { tools } = request
  const choice = request.tool_choice ?? 'auto'
  if (!Array.isArray(tools)) throw bad('tools is a list')
  const known = tools.map(toolOf)
  const named = nameOf(choice)
  if (choice === 'none') return undefined
  const callable = known.filter(({ name }) => name === (named ?? name))
  if (callable.length === 0) throw bad(`tool_choice names ${named}, which is none of the tools`)
  const form = toolForm((await text.chatTemplate({ tools: true })) ?? '')
  if (!form) {
    throw new SkipstoneError(
      'unsupported',
      "This model's chat template knows no tools: leave tools out, or load a model that was trained to call them.",
    )
  }
  const must = choice !== 'auto'
  if (must && responseFormat(request.response_format))
    throw bad('response_format and a tool_choice that demands a call exclude each other')
  const single = request.parallel_tool_calls === false
  const names = callable.map(({ name }) => name)
  if (!must)
    return { options: { tools, specialTokens: form.marks }, reader: () => new ToolCallReader(form, names, single) }
  const schemas = callable.map(({ name, parameters }, i) => callSchema(name, parameters, `#/anyOf/${i}`))
  return { options: { tools, format: { schema: { anyOf: schemas } } }, reader: () => new ToolCallReader(FORCED, names) }
}

function toolOf(tool: unknown): Tool {
  const { type, function: described } = (tool ?? {}) as { type?: unknown; function?: unknown }
  if (type !== 'function') throw bad('every tool has the type function')
  const { name, parameters: given } = (described ?? {}) as { name?: unknown; parameters?: unknown }
  const parameters = given ?? { type: 'object' }
  if (typeof name !== 'string' || name === '') throw bad('every tool has a function with a name')
  if (typeof parameters !== 'object') throw bad(`the parameters of ${name} are a JSON Schema`)
  return { name, parameters }
}

/** The function that has to be called, where it is one in particular. */
function nameOf(choice: unknown): string | undefined {
  if (choice === 'none' || choice === 'auto' || choice === 'required') return undefined
  const { name } = ((choice as { function?: unknown } | null)?.function ?? {}) as { name?: unknown }
  if (typeof name !== 'string') throw bad('tool_choice is none, auto, required or a function with a name')
  return name
}
