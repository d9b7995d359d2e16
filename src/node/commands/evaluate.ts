import type { Evaluation } from '../../study/evaluate.js'
import { type CommandContext, type CommonOptions, load, progressOf } from './context.js'
import { type TextCut, textWindows } from './text-windows.js'

export interface EvaluateCommand extends CommonOptions, TextCut {
  /** A text to cut into windows, or windows of ids taken as they are. */
  readonly text?: string
  readonly windows?: readonly (readonly number[])[]
}

export async function evaluateCommand(context: CommandContext, options: EvaluateCommand): Promise<Evaluation> {
  const model = await load(context, options)
  try {
    const windows = options.windows ?? (await textWindows(model, options.text ?? '', options))
    return await model.evaluate(windows, { policy: options.policy, ...progressOf(context) })
  } finally {
    model.dispose()
  }
}
