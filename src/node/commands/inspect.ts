import type { ModelSummary } from '../../sdk/inspect.js'
import { inspectModel } from '../../sdk/inspect-model.js'
import type { CommandContext } from './context.js'

export interface InspectResult extends ModelSummary {
  readonly model: string
}

/** Reads headers only; needs no GPU. */
export async function inspectCommand(context: CommandContext, options: { model: string }): Promise<InspectResult> {
  const { routers } = context
  return { model: options.model, ...(await inspectModel(context.model, routers === undefined ? {} : { routers })) }
}
