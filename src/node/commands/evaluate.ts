import { SkipstoneError } from '../../errors.js'
import type { Evaluation } from '../../study/evaluate.js'
import { windowsOf } from '../../study/evaluate.js'
import { type CommandContext, type CommonOptions, load } from './context.js'

export interface EvaluateCommand extends CommonOptions {
  /** A text to cut into windows, or windows of ids taken as they are. */
  readonly text?: string
  readonly windows?: readonly (readonly number[])[]
}

export async function evaluateCommand(context: CommandContext, options: EvaluateCommand): Promise<Evaluation> {
  const model = await load(context, options)
  try {
    const windows = options.windows ?? (await textWindows())
    let shown = 0
    return await model.evaluate(windows, {
      policy: options.policy,
      ...(context.signal && { signal: context.signal }),
      onProgress(done, all) {
        const percent = Math.floor((100 * done) / all)
        if (percent >= shown + 10) {
          shown = percent
          context.progress(`${percent} %\n`)
        }
      },
    })
  } finally {
    model.dispose()
  }

  async function textWindows(): Promise<number[][]> {
    const bos = model.config.bosTokenId ?? model.generation.bosTokenId
    if (bos === undefined) {
      throw new SkipstoneError('unsupported', 'This model names no BOS token: give windows of ids with --ids-file.')
    }
    const ids = await model.text.encode(options.text ?? '', { addSpecialTokens: false })
    return windowsOf(ids, options.context ?? model.config.contextLength, bos)
  }
}
