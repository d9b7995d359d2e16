import { SkipstoneError } from '../../errors.js'
import { policyRequest } from '../../sdk/session-request.js'
import { bench, policyRuns } from '../../study/bench.js'
import { sampleText } from '../../study/budget.js'
import { type BenchCommand, type BenchResult, checkTokens } from './bench-request.js'
import { type CommandContext, type CommonOptions, loadEngine } from './context.js'

/**
 * Times a model under a policy against itself, dense, and against computing what is skipped. What it reads is text that it samples itself: routers
 * decide about other tokens otherwise.
 * @throws `bad-option` for lengths that do not fit the model's context, and for policies that are more than steps.
 */
export async function benchPolicy(
  context: CommandContext,
  { tokens, repeats, phases }: BenchCommand,
  own: CommonOptions,
): Promise<BenchResult> {
  const model = await loadEngine(context, own)
  try {
    const { contextLength } = model.config
    checkTokens(tokens, own.model, model.config)
    const { signal, progress } = context
    const engine = await model.engine()
    const policy = await model.resolve(policyRequest(own.policy, model), engine, signal)
    if (policy.drafts || policy.watch) {
      throw new SkipstoneError(
        'bad-option',
        `bench times single steps: ${policy.name} drafts or watches over many of them; use compare --sweep.`,
      )
    }
    const text = await sampleText(engine, contextLength, signal, Math.max(...tokens))
    const rows = await bench(engine, {
      ...{ shape: own.model, runs: policyRuns(policy), tokens, repeats, phases, text, progress },
      signal,
    })
    return { adapter: model.adapterName, dtype: own.dtype, form: model.device.kernels, rows }
  } finally {
    model.dispose()
  }
}
