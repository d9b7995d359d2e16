import type { SkipRatios } from '../../runtime/trace.js'
import type { TuneOptions, TuneRun, TuneStep } from '../../sdk/tune-api.js'
import { type CommandContext, type CommonOptions, load } from './context.js'

export interface TuneCommand extends CommonOptions {
  readonly tuning: Omit<TuneOptions, 'data' | 'signal' | 'onStep' | 'onProgress'>
  /** Default: what the model samples itself. */
  readonly text?: string
  /** A folder. */
  readonly out: string
}

export interface TuneResult {
  out: string
  steps: Pick<TuneStep, 'loss' | 'crossEntropy' | 'executeRate' | 'tau'>[]
  /** Losses on what was held out; `adapted` with the LoRA. */
  held: { dense: number; routed: number; adapted?: number }
  /** Of the last of them. */
  skip: Pick<SkipRatios, 'attention' | 'mlp' | 'total'>
  files: string[]
}

export interface TuneOutcome {
  readonly result: TuneResult
  /** As text: bytes do not cross into Node. */
  readonly files: readonly { readonly name: string; readonly base64: string }[]
}

/** Trains to the end, or until it is interrupted; what was reached is measured and written in either case. */
export async function tuneCommand(context: CommandContext, options: TuneCommand): Promise<TuneOutcome> {
  const model = await load(context, options)
  try {
    const { text, tuning, out } = options
    const preparing = new AbortController()
    const interrupt = () => preparing.abort()
    context.signal?.addEventListener('abort', interrupt)
    const run = await model.tune({
      ...tuning,
      data: text === undefined ? 'self' : { text },
      // Nothing outlives a process, or a page of this command.
      saveEvery: 0,
      signal: preparing.signal,
      onStep: progress(context, tuning.steps),
      onProgress: (done, all) => done % 32 === 0 && context.progress(`sampled ${done} of ${all} windows\n`),
    })
    context.signal?.removeEventListener('abort', interrupt)
    const stop = () => void run.stop().catch(() => undefined)
    context.signal?.addEventListener('abort', stop)
    if (context.signal?.aborted) stop()
    await run.done
    return await outcome(run, out)
  } finally {
    model.dispose()
  }
}

async function outcome(run: TuneRun, out: string): Promise<TuneOutcome> {
  const { dense, routed, skip, adapted } = await run.evaluate()
  const files = await run.export()
  return {
    result: {
      out,
      steps: run.steps.map(({ loss, crossEntropy, executeRate, tau }) => ({ loss, crossEntropy, executeRate, tau })),
      held: { dense, routed, ...(adapted && { adapted: adapted.nll }) },
      skip: adapted?.skip ?? skip,
      files: [...files.keys()],
    },
    files: Array.from(files, ([name, bytes]) => ({ name, base64: base64(bytes) })),
  }
}

/** Tells of every twentieth of the steps. */
function progress({ progress }: CommandContext, steps: number | undefined): (step: TuneStep) => void {
  const every = Math.max(1, Math.floor((steps ?? 400) / 20))
  return ({ step, loss, crossEntropy, executeRate, tau }) => {
    if ((step + 1) % every !== 0) return
    const rate = `executes ${(100 * executeRate).toFixed(1)} %`
    progress(
      `step ${step + 1}: loss ${loss.toFixed(3)}, cross-entropy ${crossEntropy.toFixed(3)}, ${rate}, τ ${tau.toFixed(2)}\n`,
    )
  }
}

function base64(bytes: Uint8Array): string {
  return btoa(Array.from(bytes, (byte) => String.fromCharCode(byte)).join(''))
}
