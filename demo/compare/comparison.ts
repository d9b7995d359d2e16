import type { Column } from './column.js'
import { measure, type Run } from './measure.js'
import type { ModelShelf } from './models.js'
import { parting } from './parting.js'
import { plan } from './plan.js'
import { policyRequest, type Setting } from './setting.js'
import type { State } from './state.js'

/** What was asked, and what came of each setting so far. */
export interface Comparison {
  readonly state: State
  readonly runs: (Run | undefined)[]
}

export interface Progress {
  /** What the page is about to do, for the status line. */
  readonly step: (text: string) => void
  /** What goes on within that; changes often. */
  readonly detail: (text: string) => void
}

/** Runs every setting. What is finished when it fails or is stopped stays in `comparison`. */
export async function compare(
  comparison: Comparison,
  columns: readonly Column[],
  models: ModelShelf,
  signal: AbortSignal,
  { step, detail }: Progress,
): Promise<void> {
  const { state, runs } = comparison
  const order = plan(state)
  for (const [turn, index] of order.entries()) {
    const setting = state.settings[index] as Setting
    const column = columns[index] as Column
    const where = `Setting ${index + 1} (${turn + 1} of ${order.length})`
    const say = (text: string) => {
      step(`${where}: ${text}…`)
      detail('')
      column.phase(`${text}…`)
    }
    say('loading the model')
    try {
      const model = await models.get(setting, state.address, signal, detail)
      const run = await measure(model, policyRequest(setting, state.seed), state, runs[0], {
        signal,
        onPhase: say,
        onText: (text) => column.add(text),
      })
      runs[index] = run
      column.show(run, runs[0] === run ? undefined : parting(runs[0]?.tokens ?? [], run.tokens))
    } catch (error) {
      column.phase('Not finished.')
      throw error
    } finally {
      detail('')
    }
    models.keepFor(turn === order.length - 1 ? state.settings : rest(order, turn, state), state.address)
  }
}

/** The settings whose turn is still to come. */
function rest(order: readonly number[], turn: number, { settings }: State): Setting[] {
  return order.slice(turn + 1).map((index) => settings[index] as Setting)
}
