import { SkipstoneError } from '../../errors.js'
import type { ChatMessage } from '../../text/chat-template.js'
import type { GenerateOptions } from '../options.js'
import { checkOverflow } from '../overflow.js'
import type { PolicyRequest } from '../policies.js'
import { bad } from './bad-request.js'
import { wantedLogprobs, wantedTextLogprobs } from './logprobs.js'
import { responseFormat } from './response-format.js'
import { toolParts } from './tool-messages.js'
import type { ChatRequest, CompletionOptions, RequestMessage, TextPrompt, TextRequest } from './types.js'

/** A request, checked. */
export interface Wanted<Input> {
  readonly input: Input
  readonly model: string
  readonly policy: PolicyRequest | string
  readonly stream: boolean
  readonly includeUsage: boolean
  /** Answers. */
  readonly n: number
  readonly options: GenerateOptions
}

/** As in OpenAI's API; each has a cache of its own. */
const MOST_ANSWERS = 128

/** What OpenAI's API has and Skipstone has not, with the values that ask for nothing. */
const ABSENT: Readonly<Record<string, readonly unknown[]>> = {
  best_of: [1],
  suffix: [''],
  functions: [],
  audio: [],
  modalities: [],
}

/** @throws `bad-option` for what is malformed, `unsupported` for what this version cannot do. */
export function chatWanted(request: ChatRequest): Wanted<readonly ChatMessage[]> {
  const { messages } = request
  if (!Array.isArray(messages) || messages.length === 0)
    throw bad('messages is a list of messages with role and content')
  const input = messages.map(messageOf)
  const choice = request.tool_choice ?? 'none'
  if (!hasTools(request) && choice !== 'none' && choice !== 'auto')
    throw bad('a tool_choice that demands a call needs tools')
  refuseOthers(request, { echo: [false] })
  checkFlag('parallel_tool_calls', request.parallel_tool_calls)
  const wanted = common(request, request.max_completion_tokens ?? request.max_tokens)
  const logprobs = wantedLogprobs(request)
  return { input, ...wanted, options: { ...wanted.options, ...(logprobs !== undefined && { logprobs }) } }
}

export interface TextWanted extends Wanted<readonly TextPrompt[]> {
  /** Whether the prompt begins the answer, or is all of it. */
  readonly echo: 'first' | 'alone' | undefined
}

/** @throws as `chatWanted`. */
export function textWanted(request: TextRequest): TextWanted {
  refuseOthers(request, { top_logprobs: [0], tools: [] })
  const { echo, overflow, max_tokens: maxTokens } = request
  checkFlag('echo', echo)
  if (echo && (overflow ?? 'error') !== 'error')
    throw bad('echo gives the whole prompt back, and overflow leaves some of it out')
  const alone = echo === true && maxTokens === 0
  // A step behind the prompt is the least that a session can be asked for.
  const wanted = common(request, alone ? 1 : maxTokens)
  const logprobs = wantedTextLogprobs(request)
  return {
    input: promptsOf(request.prompt),
    ...wanted,
    echo: alone ? 'alone' : echo ? 'first' : undefined,
    options: {
      ...wanted.options,
      ...(logprobs !== undefined && { logprobs, ...(echo && { promptLogprobs: logprobs }) }),
    },
  }
}

function checkFlag(name: string, value: unknown): void {
  if (typeof (value ?? false) !== 'boolean') throw bad(`${name} is true or false`)
}

/** The options of one of several answers: each draws its own lots. */
export function seeded({ options }: Wanted<unknown>, index: number): GenerateOptions {
  return index === 0 ? options : { ...options, seed: (options.seed ?? 0) + 1_000_003 * index }
}

function promptsOf(prompt: unknown): TextPrompt[] {
  const isIds = (one: unknown) => Array.isArray(one) && one.every((id) => typeof id === 'number')
  const prompts: unknown[] = Array.isArray(prompt) && !isIds(prompt) ? prompt : [prompt]
  const areTexts = prompts.every((one) => typeof one === 'string' || isIds(one))
  if (!areTexts) throw bad('prompt is a text, a list of token ids, or a list of such')
  return prompts as TextPrompt[]
}

export function hasTools({ tools }: ChatRequest): boolean {
  return tools !== undefined && tools !== null && tools.length !== 0
}

function messageOf(message: RequestMessage): ChatMessage {
  const { role, content, name } = (message ?? {}) as RequestMessage
  if (typeof role !== 'string') throw bad('every message has a role')
  const tools = toolParts(message)
  return {
    // What newer models of OpenAI call a developer is the system of all templates.
    role: role === 'developer' ? 'system' : role,
    content: tools.tool_calls && (content ?? null) === null ? '' : textOf(content),
    ...tools,
    ...(typeof name === 'string' && { name }),
  }
}

function common(request: CompletionOptions, maxTokens: number | null | undefined): Omit<Wanted<never>, 'input'> {
  refuseOthers(request, ABSENT)
  const number = (name: 'temperature' | 'top_p' | 'seed' | 'presence_penalty' | 'frequency_penalty') => {
    const value = request[name] ?? undefined
    if (value !== undefined && typeof value !== 'number') throw bad(`${name} is a number`)
    return value
  }
  const [temperature, topP, seed] = [number('temperature'), number('top_p'), number('seed')]
  const presencePenalty = number('presence_penalty')
  const frequencyPenalty = number('frequency_penalty')
  const logitBias = biases(request.logit_bias)
  const format = responseFormat(request.response_format)
  const stop = request.stop ?? undefined
  const isStop = typeof stop === 'string' || (Array.isArray(stop) && stop.every((one) => typeof one === 'string'))
  if (stop !== undefined && !isStop) throw bad('stop is a string or a list of strings')
  const { model, policy = 'dense' } = request
  return {
    model: typeof model === 'string' ? model : 'skipstone',
    policy,
    stream: request.stream === true,
    includeUsage: request.stream_options?.include_usage === true,
    n: answers(request.n),
    options: {
      ...(maxTokens !== undefined && maxTokens !== null && { maxTokens }),
      ...(temperature !== undefined && { temperature }),
      ...(topP !== undefined && { topP }),
      ...(seed !== undefined && { seed }),
      ...(presencePenalty !== undefined && { presencePenalty }),
      ...(frequencyPenalty !== undefined && { frequencyPenalty }),
      ...(logitBias && { logitBias }),
      ...(format && { format }),
      ...(stop !== undefined && { stop }),
      ...(request.overflow && { overflow: checkOverflow(request.overflow) }),
    },
  }
}

function answers(n: unknown): number {
  const count = n ?? 1
  if (typeof count === 'number' && Number.isInteger(count) && count >= 1 && count <= MOST_ANSWERS) return count
  throw bad(`n is a whole number from 1 to ${MOST_ANSWERS}`)
}

function refuseOthers(request: CompletionOptions, absent: typeof ABSENT): void {
  for (const [name, harmless] of Object.entries(absent)) {
    const value = (request as Record<string, unknown>)[name]
    const empty = value === undefined || value === null || isEmpty(value)
    if (!empty && !harmless.includes(value) && !isPlainText(value)) {
      throw new SkipstoneError('unsupported', `${name} is not in this version: leave it out.`)
    }
  }
}

function textOf(content: unknown): string {
  if (typeof content === 'string') return content
  if (!Array.isArray(content)) throw bad('the content of a message is text, or a list of parts of type text')
  return content
    .map((part: { type?: unknown; text?: unknown } | null) => {
      if (part?.type === 'text' && typeof part.text === 'string') return part.text
      throw new SkipstoneError('unsupported', `Parts of type ${String(part?.type)} are not in this version: send text.`)
    })
    .join('')
}

function isEmpty(value: unknown): boolean {
  return typeof value === 'object' && value !== null && Object.keys(value).length === 0
}

function isPlainText(value: unknown): boolean {
  return Array.isArray(value) && value.join() === 'text'
}

/** Which ids and numbers are possible, the session says. */
function biases(value: unknown): Readonly<Record<number, number>> | undefined {
  if (value === undefined || value === null) return undefined
  const isMap = typeof value === 'object' && Object.values(value).every((bias) => typeof bias === 'number')
  if (!isMap) throw bad('logit_bias is an object of numbers by token id')
  return value as Readonly<Record<number, number>>
}
