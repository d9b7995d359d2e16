import { SkipstoneError } from '../../errors.js'
import type { SkipRatios, TraceFile } from '../../runtime/trace.js'
import type { LoadPhase } from '../../sdk/load-phases.js'
import type { GenerateOptions } from '../../sdk/options.js'
import type { SessionStats } from '../../sdk/session-api.js'
import { type CommandContext, type CommonOptions, load } from './context.js'

export interface GenerateCommand extends CommonOptions {
  readonly prompt?: string
  readonly ids?: readonly number[]
  readonly generation: Omit<GenerateOptions, 'signal'>
  readonly wantTrace: boolean
}

export interface GenerateResult {
  model: string
  backend: string
  adapter: string
  dtype: string
  /** What ran, whatever was asked for. */
  activations: string
  policy: string
  promptIds: readonly number[]
  tokens: readonly number[]
  text: string
  finishReason: 'stop' | 'length' | 'abort'
  skip: Pick<SkipRatios, 'attention' | 'mlp' | 'total'>
  timings: {
    loadMs: number
    /** Parts of the load; they overlap. */
    phases: readonly LoadPhase[]
    prefillMs: number
    decodeMs: number
    prefillTokensPerSecond: number
    decodeTokensPerSecond: number
  }
  /** Where the weights exceed --gpu-budget. */
  streaming?: SessionStats['streaming']
  /** Where the policy drafts. */
  speculation?: SessionStats['speculation']
}

export interface GenerateOutcome {
  readonly result: GenerateResult
  /** f32 logits of the last prompt position, as a list: typed arrays do not cross into Node. */
  readonly logits?: readonly number[]
  readonly trace?: TraceFile
}

export async function generateCommand(context: CommandContext, options: GenerateCommand): Promise<GenerateOutcome> {
  const started = performance.now()
  const model = await load(context, options)
  const loadMs = performance.now() - started
  try {
    const session = model.createSession({
      policy: options.policy,
      margins: options.wantTrace,
      ...(options.context && { contextLength: options.context }),
    })
    const prompt = options.ids ?? options.prompt ?? ''
    let text = ''
    let finishReason: GenerateResult['finishReason'] = 'length'
    let promptIds: readonly number[] = options.ids ?? []
    let logits: Float32Array | undefined
    try {
      for await (const step of session.generate(prompt, { ...options.generation, ...signalOf(context) })) {
        if (step.kind === 'prompt') {
          promptIds = step.tokens
          logits = step.logits
        }
        if (step.kind === 'end') finishReason = step.finishReason
        text += step.text
        context.progress(step.text)
      }
    } catch (error) {
      // An abort after the prompt keeps what was generated.
      if (!(error instanceof SkipstoneError && error.code === 'aborted' && session.tokens.length > 0)) throw error
      finishReason = 'abort'
    }
    const { skip, timings, streaming, speculation } = session.stats()
    const { attention, mlp, total } = skip
    return {
      result: {
        model: options.model,
        backend: options.backend,
        adapter: model.adapterName,
        dtype: model.dtype,
        activations: model.device.activations,
        policy: options.policy,
        promptIds,
        tokens: session.tokens.slice(promptIds.length),
        text,
        finishReason,
        skip: { attention, mlp, total },
        timings: { loadMs, ...(timings as NonNullable<typeof timings>), phases: model.loadPhases },
        ...(streaming && { streaming }),
        ...(speculation && { speculation }),
      },
      ...(logits && { logits: Array.from(logits) }),
      ...(options.wantTrace && { trace: session.trace() }),
    }
  } finally {
    model.dispose()
  }
}

function signalOf(context: CommandContext): { signal?: AbortSignal } {
  return context.signal ? { signal: context.signal } : {}
}
