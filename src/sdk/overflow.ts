import { SkipstoneError } from '../errors.js'
import type { ChatMessage } from '../text/chat-template.js'

/**
 * What happens where a conversation does not fit its context:
 * `error`: a prompt that is too long fails with `context-full`; a text ends where the context is full.
 * `truncate`: the oldest tokens of the prompt are left out, BOS excepted, so that `maxTokens` fit behind it, or half a context where they
 * are more; of a chat, whole turns after the system message, and tokens only where the last turn is too long by itself.
 * `slide`: the same where the prompt is longer than the context; and where the context is full, the text goes on from the newest half of it.
 */
export type Overflow = 'error' | 'truncate' | 'slide'

const OVERFLOWS: readonly unknown[] = ['error', 'truncate', 'slide'] satisfies Overflow[]

/** @throws `bad-option` for anything else. */
export function checkOverflow(overflow: unknown = 'error'): Overflow {
  if (OVERFLOWS.includes(overflow)) return overflow as Overflow
  throw new SkipstoneError('bad-option', `overflow must be error, truncate or slide, not ${String(overflow)}.`)
}

/** Where tokens are to fit. */
export interface Room {
  readonly overflow: Overflow
  readonly contextLength: number
  readonly maxTokens: number
}

function half(contextLength: number): number {
  return Math.max(1, Math.floor(contextLength / 2))
}

/** How long a prompt may be before something of it is left out. The last token that is generated is not fed. */
export function longestPrompt({ overflow, contextLength, maxTokens }: Room): number {
  if (overflow === 'error') return Number.POSITIVE_INFINITY
  if (overflow === 'slide' || maxTokens === Number.POSITIVE_INFINITY) return contextLength
  return Math.max(contextLength - maxTokens + 1, half(contextLength))
}

/** A prompt that fits: itself, or BOS where it begins with that, and its newest tokens. */
export function fitPrompt(tokens: readonly number[], room: Room, bos: number | undefined): readonly number[] {
  const longest = longestPrompt(room)
  if (tokens.length <= longest) return tokens
  return newest(tokens, longest === room.contextLength ? half(room.contextLength) : longest, bos)
}

/** What a full context goes on from. */
export function slid(tokens: readonly number[], contextLength: number, bos: number | undefined): readonly number[] {
  return newest(tokens, half(contextLength), bos)
}

function newest(tokens: readonly number[], count: number, bos: number | undefined): readonly number[] {
  const begin = bos !== undefined && tokens[0] === bos && count > 1 ? [bos] : []
  return [...begin, ...tokens.slice(begin.length - count)]
}

/** The chat without its oldest turn, so that it begins with a user again; undefined where only the last turn is left. */
export function withoutOldestTurn(messages: readonly ChatMessage[]): readonly ChatMessage[] | undefined {
  const isSystem = ({ role }: ChatMessage) => role === 'system' || role === 'developer'
  const begin = messages.findIndex((message) => !isSystem(message))
  if (begin < 0) return undefined
  const left = fromNextUser(messages.slice(begin))
  return left.length === 0 ? undefined : [...messages.slice(0, begin), ...left]
}

/** What is left without the first message and its answer: templates want users and assistants to alternate. */
export function fromNextUser(messages: readonly ChatMessage[]): readonly ChatMessage[] {
  const next = messages.findIndex(({ role }, i) => i > 0 && role === 'user')
  return next < 0 ? [] : messages.slice(next)
}
