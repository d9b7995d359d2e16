import type { SkipProfile } from '../../skip/profile.js'
import { type CommandContext, type CommonOptions, load, progressOf } from './context.js'
import { textWindows } from './text-windows.js'

export interface CalibrateCommand extends CommonOptions {
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
    const windows = options.text === undefined ? undefined : await textWindows(model, options.text, options.context)
    return { out: options.out, profile: await model.calibrate(windows, progressOf(context)) }
  } finally {
    model.dispose()
  }
}
