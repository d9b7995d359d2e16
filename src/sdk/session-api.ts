import type { Traffic } from '../model/traffic.js'
import type { SpeculationFigures } from '../runtime/speculation/figures.js'
import type { SkipRatios, TraceFile } from '../runtime/trace.js'
import type { ChatMessage } from '../text/chat-template.js'
import type { ChatOptions, GenerateOptions, PromptStep, Step } from './options.js'
import type { PolicyRequest } from './policies.js'

export interface SessionStats {
  /** Positions fed so far. */
  positions: number
  /** Share of sublayer visits skipped, prompt included. */
  skip: SkipRatios
  /** Of the last generate call, without the compiling of shaders on first use; undefined before the first. */
  timings:
    | {
        prefillMs: number
        decodeMs: number
        prefillTokensPerSecond: number
        decodeTokensPerSecond: number
      }
    | undefined
  /** With a `gpuBudget` that the weights exceed: what fetching them cost, for prompts and for generated tokens. */
  streaming: { prefill: Traffic; decode: Traffic } | undefined
  /** With a policy that drafts: what came of it. What verifies counts as a prompt in `streaming`, and drafts as generated tokens. */
  speculation: SpeculationFigures | undefined
}

/**
 * A conversation: its tokens, its cache on the GPU, and what was skipped at each of its positions. Made by `model.createSession`; one
 * generation at a time.
 */
export interface Session {
  /** Tokens that the conversation can grow to. */
  readonly contextLength: number

  /** Ids of the conversation: prompts and generated tokens, stop tokens left out. */
  readonly tokens: readonly number[]

  /**
   * Continues the conversation with `prompt`: text, or token ids taken as they are. A first prompt gets the
   * tokenizer's special tokens (BOS), later ones continue without. No ids at all, `[]`, go on where the conversation
   * stopped. Only what the cache does not hold is processed.
   *
   * Stopping the loop early, or an abort while tokens are generated, keeps what was delivered. Any failure before the
   * first token leaves the conversation as it was.
   * @throws `bad-option` (empty prompt, unknown ids, sampling out of range, a malformed format), `unsupported`
   * (a format that the model's vocabulary cannot write, or that is too large to follow), `context-full`, `busy`, `aborted`,
   * `device-lost` (call again: the conversation is replayed), `disposed`.
   */
  generate(prompt: string | readonly number[], options?: GenerateOptions): AsyncGenerator<Step, void>

  /**
   * Generates the next message of a chat, written with the model's template. Whatever the messages share with the
   * conversation so far is not processed again; where they differ, the conversation is rewound.
   * @throws as `generate`, and `unsupported` where the model has no chat template.
   */
  chat(messages: readonly ChatMessage[], options?: ChatOptions): AsyncGenerator<Step, void>

  /**
   * Adds to the conversation without answering: the next call finds it processed. Ids and text as for `generate`. Returns the ids that
   * were fed, with their bits.
   * @throws as `generate`.
   */
  append(prompt: string | readonly number[], options?: { signal?: AbortSignal }): Promise<PromptStep>

  /** Another session that goes on from here; both are independent from now on. @throws `busy`, `disposed`. */
  clone(): Session

  /** Shortens the conversation to its first `length` tokens. @throws `busy`, `bad-option`, `disposed`. */
  rewind(length: number): void

  /**
   * What to skip from the next GPU submit on, in the midst of a generation too; what was computed stays as it is. A budget is calibrated
   * first, where the model has not been before.
   * @throws `unknown-policy`, `bad-option`, `missing-weights`, `aborted`, `device-lost`, `disposed`.
   */
  usePolicy(policy: PolicyRequest | string, options?: { signal?: AbortSignal }): Promise<void>

  stats(): SessionStats

  /** Which sublayers each position executed. */
  trace(): TraceFile

  /** Frees the cache. A generation that is under way fails with `disposed`. */
  dispose(): void
  [Symbol.dispose](): void
  [Symbol.asyncDispose](): Promise<void>
}
