import type { SkipRatios, TraceFile } from '../../runtime/trace.js'
import type { Model } from '../../sdk/model-api.js'
import type { GenerateOptions } from '../../sdk/options.js'
import { agreement, partsAt } from '../../study/compare.js'
import type { Sweep, SweepOptions } from '../../study/sweep.js'
import { type CommandContext, type CommonOptions, load, progressOf } from './context.js'
import { type TextCut, textWindows } from './text-windows.js'

export interface CompareCommand extends CommonOptions, TextCut {
  /** Those whose texts are compared, and that are swept; of a sweep alone, all that run. */
  readonly policies?: readonly string[]
  readonly prompt?: string
  /** A text to cut into windows, or windows of ids taken as they are, to sweep over. Default: the first policy's text. */
  readonly text?: string
  readonly windows?: readonly (readonly number[])[]
  readonly sweep?: Pick<SweepOptions, 'shares' | 'seeds' | 'rounds'>
  readonly generation: Omit<GenerateOptions, 'signal'>
}

export interface ComparedRun {
  policy: string
  tokens: readonly number[]
  text: string
  skip: Pick<SkipRatios, 'attention' | 'mlp' | 'total'>
  /** Loss of this policy on the first policy's text. */
  nll: number
  /** Where this text leaves the first policy's; null where it does not. */
  partsAt: number | null
  /** Share of decisions equal to the first policy's, up to that place. */
  agreement: number
}

export interface CompareResult {
  model: string
  adapter: string
  prompt?: string
  runs: ComparedRun[]
  sweep?: Sweep
}

/**
 * One prompt under several policies with the same seed; the first policy is what the others are compared with. A sweep goes over given
 * windows, or over the first policy's text.
 */
export async function compareCommand(context: CommandContext, options: CompareCommand): Promise<CompareResult> {
  const model = await load(context, options)
  try {
    const { prompt, policies } = options
    const compared = prompt === undefined ? undefined : await compare(context, model, { ...options, prompt })
    const result: CompareResult = {
      model: options.model,
      adapter: model.adapterName,
      ...(prompt !== undefined && { prompt }),
      runs: compared?.runs ?? [],
    }
    if (!options.sweep) return result
    const windows =
      options.windows ??
      (options.text === undefined ? [compared?.ids ?? []] : await textWindows(model, options.text, options))
    const swept = policies ? { policies: policies.filter((policy) => policy !== 'dense') } : {}
    return { ...result, sweep: await model.sweep(windows, { ...options.sweep, ...swept, ...progressOf(context) }) }
  } finally {
    model.dispose()
  }
}

async function compare(context: CommandContext, model: Model, options: CompareCommand & { readonly prompt: string }) {
  const runs: ComparedRun[] = []
  let first: { tokens: number[]; all: number[]; trace: TraceFile } | undefined
  for (const policy of options.policies ?? ['dense']) {
    context.progress(`${policy}\n`)
    const run = await generate(model, policy, options, context.signal)
    first ??= run
    const { nll } = await model.evaluate([first.all], { policy })
    runs.push({
      policy,
      tokens: run.tokens,
      text: run.text,
      skip: run.skip,
      nll,
      partsAt: partsAt(first.tokens, run.tokens) ?? null,
      agreement: agreement(first.trace, run.trace),
    })
  }
  return { runs, ids: first?.all ?? [] }
}

async function generate(
  model: Model,
  policy: string,
  options: CompareCommand & { readonly prompt: string },
  signal: AbortSignal | undefined,
) {
  const session = model.createSession({ policy, ...(options.context && { contextLength: options.context }) })
  let text = ''
  let tokens: number[] = []
  try {
    for await (const step of session.generate(options.prompt, { ...options.generation, ...(signal && { signal }) })) {
      text += step.text
      if (step.kind === 'end') tokens = [...step.tokens]
    }
    const { attention, mlp, total } = session.stats().skip
    return { text, tokens, all: [...session.tokens], trace: session.trace(), skip: { attention, mlp, total } }
  } finally {
    session.dispose()
  }
}
