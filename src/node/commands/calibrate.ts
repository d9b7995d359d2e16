import type { SkipProfile } from '../../skip/profile.js'
import { type CommandContext, type CommonOptions, load, progressOf } from './context.js'
import { type TextCut, textWindows } from './text-windows.js'

export interface CalibrateCommand extends CommonOptions, TextCut {
  /** Default: what the model samples itself. */
  readonly text?: string
  readonly out: string
}

export interface CalibrateOutcome {
  readonly out: string
  readonly profile: SkipProfile
}

export async function calibrateCommand(context: CommandContext, options: CalibrateCommand): Promise<CalibrateOutcome> {
  const model = await load(context, options)
  try {
    const windows = options.text === undefined ? undefined : await textWindows(model, options.text, options)
    return { out: options.out, profile: await model.calibrate(windows, progressOf(context)) }
  } finally {
    model.dispose()
  }
}
