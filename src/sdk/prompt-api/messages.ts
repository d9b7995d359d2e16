import { SkipstoneError } from '../../errors.js'
import type { ChatMessage } from '../../text/chat-template.js'

/** A message as the Prompt API has it. */
export interface PromptMessage {
  readonly role: 'system' | 'user' | 'assistant'
  readonly content: string | readonly { readonly type: 'text'; readonly value: string }[]
}

/** What a session is prompted with: a string is a message of the user. */
export type PromptInput = string | readonly PromptMessage[]

const ROLES: readonly unknown[] = ['system', 'user', 'assistant']

/** @throws `bad-option` for what is no input, `unsupported` for content other than text. */
export function chatMessages(input: PromptInput): ChatMessage[] {
  if (typeof input === 'string') return [{ role: 'user', content: input }]
  if (!Array.isArray(input)) {
    throw new SkipstoneError('bad-option', 'A prompt is a string, or a list of messages with role and content.')
  }
  return input.map((message: PromptMessage) => {
    if (!ROLES.includes(message?.role)) {
      throw new SkipstoneError('bad-option', `The role of a message is one of ${ROLES.join(', ')}.`)
    }
    return { role: message.role, content: textOf(message.content) }
  })
}

function textOf(content: unknown): string {
  if (typeof content === 'string') return content
  const parts: unknown[] = Array.isArray(content) ? content : [content]
  return parts
    .map((part) => {
      const { type, value } = (part ?? {}) as { type?: unknown; value?: unknown }
      if (type === 'text' && typeof value === 'string') return value
      throw new SkipstoneError(
        'unsupported',
        `Content of type ${String(type)} is not in this version: prompt with text.`,
      )
    })
    .join('')
}
