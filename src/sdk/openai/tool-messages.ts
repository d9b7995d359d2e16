import type { ChatMessage } from '../../text/chat-template.js'
import { keepNumbers } from '../../text/exact-numbers.js'
import { bad } from './bad-request.js'
import { parseObject } from './parse-json.js'
import type { RequestMessage } from './types.js'

type ToolParts = Pick<ChatMessage, 'tool_calls' | 'tool_call_id'>

/**
 * What a message says of calls, in the shape that templates read: they write arguments as JSON themselves.
 * @throws `bad-option` for what is malformed.
 */
export function toolParts({ role, tool_calls: calls, tool_call_id: id }: RequestMessage): ToolParts {
  if (role === 'tool') {
    if (typeof id !== 'string') throw bad('every message of the role tool has the tool_call_id of its call')
    return { tool_call_id: id }
  }
  if (calls === undefined || calls === null) return {}
  if (!Array.isArray(calls)) throw bad('tool_calls is a list')
  if (calls.length === 0) return {}
  if (role !== 'assistant') throw bad('only messages of the role assistant have tool_calls')
  return { tool_calls: calls.map(templateCall) }
}

function templateCall(call: unknown): object {
  const { id, type, function: called } = (call ?? {}) as { id?: unknown; type?: unknown; function?: unknown }
  const { name, arguments: given } = (called ?? {}) as { name?: unknown; arguments?: unknown }
  const values = parseObject(given) && parseObject(keepNumbers(given as string))
  if (typeof id !== 'string' || type !== 'function' || typeof name !== 'string' || name === '' || !values)
    throw bad(
      'every one of tool_calls has an id, the type function, and a function with a name and arguments, the JSON of an object',
    )
  return { id, type, function: { name, arguments: values } }
}
