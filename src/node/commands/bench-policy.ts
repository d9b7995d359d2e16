import { SkipstoneError } from '../../errors.js'
import type { EngineModel } from '../../sdk/model.js'
import { policyRequest } from '../../sdk/session-request.js'
import { bench, policyRuns } from '../../study/bench.js'
import type { BenchCommand, BenchResult } from './bench.js'
import { type CommandContext, type CommonOptions, loadEngine } from './context.js'

/** Decode steps need room behind the text. */
const ROOM = 32

/**
 * Times a model under a policy against itself, dense, and against computing what is skipped. What it reads is text that it samples itself, at temperature
 * 1: routers decide about other tokens otherwise.
 * @throws `bad-option` for lengths that do not fit the model's context.
 */
export async function benchPolicy(
  context: CommandContext,
  { tokens, repeats, phases }: BenchCommand,
  own: CommonOptions,
): Promise<BenchResult> {
  const model = await loadEngine(context, own)
  try {
    const { contextLength } = model.config
    const long = tokens.find((n) => !(Number.isInteger(n) && n >= 1 && n + ROOM <= contextLength))
    if (long !== undefined) {
      throw new SkipstoneError('bad-option', `--tokens ${long} does not fit the model's context, ${contextLength}.`)
    }
    const { signal, progress } = context
    const engine = await model.engine()
    const policy = await model.resolve(policyRequest(own.policy, model), engine, signal)
    const text = await ownText(model, Math.max(...tokens), signal)
    const rows = await bench(engine, {
      ...{ shape: own.model, runs: policyRuns(policy), tokens, repeats, phases, text, progress },
      signal,
    })
    return { adapter: model.adapterName, dtype: own.dtype, form: model.device.kernels, rows }
  } finally {
    model.dispose()
  }
}

async function ownText(model: EngineModel, tokens: number, signal: AbortSignal | undefined): Promise<number[]> {
  const bos = model.config.bosTokenId ?? model.generation.bosTokenId ?? 0
  const session = model.createSession()
  const options = { maxTokens: tokens, temperature: 1, seed: 1, ignoreEos: true, ...(signal && { signal }) }
  for await (const step of session.generate([bos], options)) if (step.kind === 'end') break
  return [...session.tokens]
}
