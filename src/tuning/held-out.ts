import { NO_TARGET } from '../../shaders/cross-entropy-slice.wgsl.js'
import { type BatchShape, nextTokens } from './batch.js'
import type { GradientStep } from './gradient-step.js'

export interface HeldOutLoss {
  /** Predicted tokens. */
  readonly tokens: number
  /** Mean loss per predicted token, in nats. */
  readonly nll: number
  /** Share of the sublayer visits that were skipped, the last token of a window left out: nothing depends on it. */
  readonly skip: { readonly attention: number; readonly mlp: number; readonly total: number }
}

/** Loss over windows that nobody trains on, by arg-max decisions, with what trains as it is. */
export async function heldOutLoss(
  step: GradientStep,
  windows: readonly (readonly number[])[],
  { batch, length, ends }: BatchShape & { readonly ends: ReadonlySet<number> },
): Promise<HeldOutLoss> {
  let tokens = 0
  let nll = 0
  const visits = { attention: { all: 0, run: 0 }, mlp: { all: 0, run: 0 } }
  for (let first = 0; first < windows.length; first += batch) {
    const own = windows.slice(first, first + batch)
    const counted = own.length
    const filled = Array.from({ length: batch }, (_, i) => own[i] ?? (own[0] as readonly number[]))
    const ids = Uint32Array.from(filled.flat())
    const { crossEntropy } = await step.measure({ ids, ends, counted })
    const targets = nextTokens(ids.subarray(0, counted * length), length, ends)
    const count = targets.filter((target) => target !== NO_TARGET).length
    tokens += count
    nll += count * crossEntropy
    const rows = batch * length
    for (const [at, gate] of (await step.gates()).entries()) {
      const row = at % rows
      if (row >= counted * length || row % length === length - 1) continue
      const kind = visits[Math.floor(at / rows) % 2 === 0 ? 'attention' : 'mlp']
      kind.all++
      kind.run += gate
    }
  }
  const skipped = ({ all, run }: { all: number; run: number }) => 1 - run / all
  const [attention, mlp] = [skipped(visits.attention), skipped(visits.mlp)]
  return { tokens, nll: nll / tokens, skip: { attention, mlp, total: (attention + mlp) / 2 } }
}
