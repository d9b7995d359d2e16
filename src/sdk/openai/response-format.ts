import { SkipstoneError } from '../../errors.js'
import type { TextFormat } from '../options.js'
import { bad } from './bad-request.js'

/**
 * The format that a request asks for; undefined for plain text. A schema is always obeyed to the letter, `strict` or not.
 * @throws `bad-option` for what is malformed, `unsupported` for other kinds of formats.
 */
export function responseFormat(wanted: unknown): TextFormat | undefined {
  if (wanted === undefined || wanted === null) return undefined
  const { type, json_schema: described } = wanted as { type?: unknown; json_schema?: { schema?: unknown } | null }
  if (typeof type !== 'string') throw bad('response_format is an object with a type')
  if (type === 'text') return undefined
  // OpenAI promises an object here, not any JSON.
  if (type === 'json_object') return { schema: { type: 'object' } }
  if (type === 'json_schema') {
    const schema = described?.schema
    if (typeof schema !== 'object' || schema === null) throw bad('response_format.json_schema has a schema')
    return { schema }
  }
  throw new SkipstoneError(
    'unsupported',
    `A response_format of type ${type} is not in this version: use text, json_object or json_schema.`,
  )
}
