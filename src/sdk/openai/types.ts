import type { SkipRatios } from '../../runtime/trace.js'
import type { Overflow } from '../overflow.js'
import type { PolicyRequest } from '../policies.js'

// The request and response bodies of OpenAI's API, as far as they mean something here; `policy` and `skip` are ours.

/** Text, or a list of text parts. */
export type Content = string | readonly { readonly type: 'text'; readonly text: string }[]

export type ResponseFormat =
  | { readonly type: 'text' }
  | { readonly type: 'json_object' }
  | {
      readonly type: 'json_schema'
      readonly json_schema: { readonly name?: string; readonly schema: object; readonly strict?: boolean | null }
    }

export interface CompletionOptions {
  /** Comes back in the answer; a loaded model is the only one that there is. */
  model?: string
  max_tokens?: number | null
  /** The defaults of these are the model's own. */
  temperature?: number | null
  top_p?: number | null
  seed?: number | null
  stop?: string | readonly string[] | null
  /** From -100 to 100 by token id. */
  logit_bias?: Readonly<Record<string, number>> | null
  /** From -2 to 2. */
  presence_penalty?: number | null
  frequency_penalty?: number | null
  /** The answer is then such JSON, unless tokens run out. */
  response_format?: ResponseFormat | null
  /** Answers, 1 to 128: they are generated together, each with a seed of its own. Default 1. */
  n?: number | null
  stream?: boolean | null
  stream_options?: { include_usage?: boolean } | null
  /** What to skip; default: nothing. */
  policy?: PolicyRequest | string
  /** What happens where the text does not fit the context; default: an error. */
  overflow?: Overflow | null
}

/** A function that the model may ask to be called. */
export interface Tool {
  readonly type: 'function'
  readonly function: {
    readonly name: string
    readonly description?: string
    /** A JSON Schema of an object. */
    readonly parameters?: object | null
  }
}

export interface ToolCall {
  id: string
  type: 'function'
  /** `arguments` is the JSON of an object: in answers as the model wrote it, whose numbers may have more digits than JavaScript's. */
  function: { name: string; arguments: string }
}

export type ToolChoice =
  | 'none'
  | 'auto'
  | 'required'
  | { readonly type: 'function'; readonly function: { readonly name: string } }

export interface RequestMessage {
  readonly role: string
  /** Null for an assistant that only called tools. */
  readonly content?: Content | null
  readonly tool_calls?: readonly ToolCall[] | null
  /** Of a message whose role is tool. */
  readonly tool_call_id?: string
  readonly name?: string
}

export interface ChatRequest extends CompletionOptions {
  messages: readonly RequestMessage[]
  /** Described by the model's chat template, which has to know tools. */
  tools?: readonly Tool[] | null
  /** `auto` lets the model choose; `required` and a function hold it to a call of valid JSON. Default `auto`. */
  tool_choice?: ToolChoice | null
  /** Whether the model may call several tools at once; else its answer ends with the first call. Default true. */
  parallel_tool_calls?: boolean | null
  max_completion_tokens?: number | null
  /** Tell how probable every token was, */
  logprobs?: boolean | null
  /** and this many of the most probable ones, 0 to 20. */
  top_logprobs?: number | null
}

/** A text, or the ids of one. */
export type TextPrompt = string | readonly number[]

export interface TextRequest extends CompletionOptions {
  /** One, or a list: the answers to the first of them come first. */
  prompt: TextPrompt | readonly TextPrompt[]
  /** Begin the answer with the prompt; with `max_tokens: 0` it is all of the answer. */
  echo?: boolean | null
  /** Tell how probable every token was, those of an echoed prompt included, and this many of the most probable ones, 0 to 20. */
  logprobs?: number | null
}

export interface Usage {
  prompt_tokens: number
  completion_tokens: number
  total_tokens: number
  /** Tokens of the prompt that were not processed again. */
  prompt_tokens_details: { cached_tokens: number }
  /** Share of sublayer visits that the conversation skipped. */
  skip: Pick<SkipRatios, 'attention' | 'mlp' | 'total'>
}

export type FinishReason = 'stop' | 'length' | 'tool_calls'

interface Body<Kind extends string, Choice> {
  id: string
  object: Kind
  /** Seconds since 1970. */
  created: number
  model: string
  choices: Choice[]
}

export interface ChatLogprob {
  token: string
  /** Natural logarithm of the model's own probability. */
  logprob: number
  /** UTF-8; null for a token that is no text. */
  bytes: number[] | null
}

export interface ChatLogprobEntry extends ChatLogprob {
  top_logprobs: ChatLogprob[]
}

/** One entry for every token. */
export interface ChatLogprobs {
  content: ChatLogprobEntry[]
  refusal: null
}

interface Choice<Logprobs> {
  index: number
  logprobs: Logprobs
  finish_reason: FinishReason | null
}

export interface ChatCompletion
  extends Body<
    'chat.completion',
    Choice<ChatLogprobs | null> & {
      finish_reason: FinishReason
      message: { role: 'assistant'; content: string | null; refusal: null; tool_calls?: ToolCall[] }
    }
  > {
  usage: Usage
}

export interface ChatDelta {
  role?: 'assistant'
  content?: string
  /** Each call comes whole. */
  tool_calls?: (ToolCall & { index: number })[]
}

export interface ChatCompletionChunk
  extends Body<'chat.completion.chunk', Choice<ChatLogprobs | null> & { delta: ChatDelta }> {
  usage?: Usage | null
}

/** Lists of the same length, with an entry for every token; of an echoed prompt those too that its tokenizer adds, such as BOS. */
export interface TextLogprobs {
  /** `bytes:\x…` where a token holds a part of a character. */
  tokens: string[]
  /** Natural logarithms of the model's own probabilities; null for the first token of an echoed prompt. */
  token_logprobs: (number | null)[]
  /** The most probable tokens, and the token itself. */
  top_logprobs: (Readonly<Record<string, number>> | null)[]
  /** Where each begins in `text`, in UTF-16 units. */
  text_offset: number[]
}

export interface TextCompletion extends Body<'text_completion', Choice<TextLogprobs | null> & { text: string }> {
  /** In a stream: with the last piece, where it was asked for. */
  usage?: Usage | null
}
