import { type Model, policyAt, type TuneRun } from '../../src/index.js'
import { scrollBox, table } from '../compare/table.js'

/** What skips the same share without having learned what; static ones choose once for all tokens. */
const CONTROLS = [
  { name: 'Control: sublayers by lot', policy: 'random' },
  { name: 'Control: AdaSkip, offline only (static)', policy: 'adaskip:online=false' },
]
const SEED = 1

export interface Row {
  readonly name: string
  /** Mean loss per token, in nats. */
  readonly nll: number
  readonly skip: { readonly attention: number; readonly mlp: number; readonly total: number }
}

export interface MeasureTask {
  readonly signal: AbortSignal
  readonly onStage: (text: string) => void
  /** Changes often. */
  readonly onProgress: (text: string) => void
}

/** Losses on the windows that were held out: dense, with what was trained, and of controls at the share that was reached. */
export async function measure(run: TuneRun, model: Model, { signal, onStage, ...task }: MeasureTask): Promise<Row[]> {
  onStage('dense and routed')
  const { dense, routed, skip, adapted } = await run.evaluate({ signal })
  const rows: Row[] = [
    { name: 'Dense', nll: dense, skip: { attention: 0, mlp: 0, total: 0 } },
    { name: 'Routed', nll: routed, skip },
    ...(adapted ? [{ name: 'Routed, with the LoRA', ...adapted }] : []),
  ]
  const ends = new Set(model.config.eosTokenIds)
  for (const { name, policy } of CONTROLS) {
    onStage(name)
    const onProgress = (done: number, all: number) => task.onProgress(`${done} of ${all} windows`)
    const request = policyAt(policy, skip.total, SEED)
    rows.push({ name, ...(await model.evaluate(run.held, { policy: request, ends, signal, onProgress })) })
  }
  return rows
}

/** The difference to the first row beside each. */
export function rowsTable(rows: readonly Row[]): HTMLElement {
  const percent = (share: number) => `${(100 * share).toFixed(1)} %`
  const [dense] = rows
  const box = scrollBox('Losses before and after')
  box.append(
    table(
      ['', 'Loss', 'Over dense', 'Skipped', 'Attention', 'MLP'],
      rows.map(({ name, nll, skip }) => {
        const more = nll - (dense?.nll ?? nll)
        const over = more === 0 ? '–' : `${more > 0 ? '+' : '−'}${Math.abs(more).toFixed(3)}`
        return [name, nll.toFixed(3), over, percent(skip.total), percent(skip.attention), percent(skip.mlp)]
      }),
    ),
  )
  return box
}
