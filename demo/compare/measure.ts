import { agreement, type Model, type PolicyRequest, type TraceFile, weightBytesPerToken } from '../../src/index.js'
import type { State } from './state.js'

/** The first setting's run, which the others are compared with. */
export interface Reference {
  readonly tokens: readonly number[]
  /** Prompt and generated tokens. */
  readonly ids: readonly number[]
  /** Decisions on these. */
  readonly trace: TraceFile
}

/** What a setting did with the prompt. */
export interface Run extends Reference {
  readonly text: string
  /** Each generated token's part of the text. */
  readonly pieces: readonly string[]
  readonly promptTokens: number
  readonly skip: { readonly total: number; readonly attention: number; readonly mlp: number }
  /** Mean loss on the first setting's text, in nats per token; undefined where that is too short to predict anything. */
  readonly nll: number | undefined
  /** Share of decisions equal to the first setting's, on its text. */
  readonly agreement: number
  readonly prefillTokensPerSecond: number
  readonly decodeTokensPerSecond: number
  readonly weightBytesPerToken: number
  readonly dtype: string
  readonly adapter: string
}

export interface MeasureOptions {
  readonly signal: AbortSignal
  /** What is being done, in words. */
  readonly onPhase: (text: string) => void
  readonly onText: (text: string) => void
}

/** Generates, then runs the first setting's text through this one: that gives loss and decisions on equal terms. */
export async function measure(
  model: Model,
  policy: PolicyRequest,
  state: State,
  first: Reference | undefined,
  { signal, onPhase, onText }: MeasureOptions,
): Promise<Run> {
  onPhase(policy.options.budget === undefined ? 'generating' : 'finding the threshold for the budget')
  const generated = await generate(model, policy, state, signal, onText)
  onPhase('reading setting 1’s text')
  const ids = first?.ids ?? generated.ids
  const nll = ids.length < 2 ? undefined : (await model.evaluate([ids], { policy, signal })).nll
  const trace = await decisionsOn(model, policy, ids, signal)
  return {
    ...generated,
    trace,
    nll,
    agreement: agreement(first?.trace ?? trace, trace),
    dtype: model.dtype,
    adapter: model.adapterName,
  }
}

async function generate(
  model: Model,
  policy: PolicyRequest,
  { prompt, maxTokens, temperature, seed }: State,
  signal: AbortSignal,
  onText: (text: string) => void,
) {
  const session = model.createSession({ policy })
  try {
    let text = ''
    let promptTokens = 0
    let tokens: readonly number[] = []
    for await (const step of session.generate(prompt, { maxTokens, temperature, seed, signal })) {
      if (step.kind === 'prompt') promptTokens = step.tokens.length
      if (step.kind === 'end') tokens = step.tokens
      text += step.text
      if (step.text !== '') onText(step.text)
    }
    const ids = [...session.tokens]
    const pieces = (await model.text.pieces(tokens, ids.slice(0, promptTokens))).map((piece) => piece.text)
    const { skip, timings } = session.stats()
    const trace = session.trace()
    // Bytes are those of decoding: a prompt's tokens share what they read.
    const decoded = trace.steps.slice(promptTokens)
    return {
      text,
      pieces,
      tokens,
      ids,
      promptTokens,
      skip: { total: skip.total, attention: skip.attention, mlp: skip.mlp },
      prefillTokensPerSecond: timings?.prefillTokensPerSecond ?? 0,
      decodeTokensPerSecond: timings?.decodeTokensPerSecond ?? 0,
      weightBytesPerToken: weightBytesPerToken(model, { ...trace, steps: decoded }),
    }
  } finally {
    session.dispose()
  }
}

/** What this policy skips on a given text. */
async function decisionsOn(
  model: Model,
  policy: PolicyRequest,
  ids: readonly number[],
  signal: AbortSignal,
): Promise<TraceFile> {
  const session = model.createSession({ policy })
  try {
    await session.append(ids, { signal })
    return session.trace()
  } finally {
    session.dispose()
  }
}
