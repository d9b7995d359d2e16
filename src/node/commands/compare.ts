import type { SkipRatios, TraceFile } from '../../runtime/trace.js'
import type { Model } from '../../sdk/model-api.js'
import type { GenerateOptions } from '../../sdk/options.js'
import { parsePolicy, shareOption } from '../../skip/registry.js'
import { agreement, partsAt } from '../../study/compare.js'
import { type CommandContext, type CommonOptions, load } from './context.js'

export interface CompareCommand extends CommonOptions {
  readonly policies: readonly string[]
  readonly prompt: string
  readonly sweep: boolean
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

export interface SweepPoint {
  policy: string
  skip: number
  nll: number
}

export interface CompareResult {
  model: string
  adapter: string
  prompt: string
  runs: ComparedRun[]
  sweep?: SweepPoint[]
}

const SWEEP_SHARES = [0, 0.1, 0.2, 0.3, 0.4, 0.5]

/** One prompt under several policies with the same seed; the first policy is what the others are compared with. */
export async function compareCommand(context: CommandContext, options: CompareCommand): Promise<CompareResult> {
  const model = await load(context, options)
  try {
    const runs: ComparedRun[] = []
    let first: { tokens: number[]; all: number[]; trace: TraceFile } | undefined
    for (const policy of options.policies) {
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
    const result: CompareResult = { model: options.model, adapter: model.adapterName, prompt: options.prompt, runs }
    if (options.sweep && first) result.sweep = await sweep(model, options.policies, first.all, context)
    return result
  } finally {
    model.dispose()
  }
}

async function generate(model: Model, policy: string, options: CompareCommand, signal: AbortSignal | undefined) {
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

/** Loss against skip ratio for every policy that takes a share. */
async function sweep(
  model: Model,
  policies: readonly string[],
  ids: readonly number[],
  context: CommandContext,
): Promise<SweepPoint[]> {
  const points: SweepPoint[] = []
  for (const name of new Set(policies.map((p) => parsePolicy(p).name))) {
    const key = shareOption(name)
    for (const share of key ? SWEEP_SHARES : [0]) {
      const policy = key ? `${name}:${key}=${share}` : name
      context.progress(`${policy}\n`)
      const { nll, skip } = await model.evaluate([ids], { policy })
      points.push({ policy, skip: skip.total, nll })
    }
  }
  return points
}
