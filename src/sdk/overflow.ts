import { SkipstoneError } from '../errors.js'
import type { ChatMessage } from '../text/chat-template.js'

/**
 * What happens where a conversation does not fit its context:
 * `error`: a prompt that is too long fails with `context-full`; a text ends where the context is full.
 * `truncate`: the oldest tokens of the prompt are left out, so that `maxTokens` fit behind it, or half a context where they are more; of a
 * chat, whole turns after the system message, and tokens only where the last turn is too long by itself.
 * `slide`: the same where the prompt is longer than the context; and where the context is full, the text goes on from the newest half of it.
 * The beginning stays in both: BOS, and of a chat all that the template writes before the first message, such as the system message, unless
 * that takes more than half of the room.
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

/** What is fed, and how many of its first tokens may stay when others go, the most first. */
export interface Prompt {
  readonly tokens: readonly number[]
  /** Of a chat: what comes before its first message, so that its system message stays. Then BOS. */
  readonly begins: readonly number[]
}

/** A prompt that fits: itself, or its beginning and its newest tokens. */
export function fitPrompt({ tokens, begins }: Prompt, room: Room): readonly number[] {
  const longest = longestPrompt(room)
  if (tokens.length <= longest) return tokens
  if (longest === room.contextLength) return slid({ tokens, begins }, room.contextLength)
  return newest(tokens, longest, begins.find((begin) => 2 * begin <= longest) ?? 0)
}

/** What a full context goes on from: its beginning, and the newest half of the rest. */
export function slid({ tokens, begins }: Prompt, contextLength: number): readonly number[] {
  // A longer beginning would leave no room to write in.
  const begin = begins.find((length) => 2 * length <= contextLength) ?? 0
  return newest(tokens, begin + half(contextLength - begin), begin)
}

function newest(tokens: readonly number[], count: number, begin: number): readonly number[] {
  return [...tokens.slice(0, begin), ...tokens.slice(begin - count)]
}

/** How many tokens both begin with. */
export function shared(a: readonly number[], b: readonly number[]): number {
  let length = 0
  while (length < a.length && length < b.length && a[length] === b[length]) length++
  return length
}

/**
 * The chat up to its first message, with another one in its place: what both texts begin with stands before that message, whatever the
 * template makes of systems and tools. Undefined where it does not begin with a user's message behind those of the system.
 */
export function withOtherFirst(messages: readonly ChatMessage[]): readonly ChatMessage[] | undefined {
  const at = messages.findIndex((message) => !isSystem(message))
  const first = messages[at]
  if (first?.role !== 'user') return undefined
  const content = first.content.trimStart().startsWith('x') ? 'y' : 'x'
  return [...messages.slice(0, at), { ...first, content }]
}

/** The chat without its oldest turn, so that it begins with a user again; undefined where only the last turn is left. */
export function withoutOldestTurn(messages: readonly ChatMessage[]): readonly ChatMessage[] | undefined {
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

function isSystem({ role }: ChatMessage): boolean {
  return role === 'system' || role === 'developer'
}
