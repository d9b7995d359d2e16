import { NO_TARGET } from '../../shaders/cross-entropy-slice.wgsl.js'
import { type BatchShape, nextTokens } from './batch.js'
import type { GradientStep } from './gradient-step.js'

export interface HeldOutLoss {
  /** Predicted tokens. */
  readonly tokens: number
  /** Mean loss per predicted token, in nats. */
  readonly nll: number
  /** Share of the sublayer visits that were skipped. */
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
  const executed = [0, 0]
  for (let first = 0; first < windows.length; first += batch) {
    const own = windows.slice(first, first + batch)
    const counted = own.length
    const filled = Array.from({ length: batch }, (_, i) => own[i] ?? (own[0] as readonly number[]))
    const ids = Uint32Array.from(filled.flat())
    const { crossEntropy } = await step.measure({ ids, ends, counted })
    const count = nextTokens(ids.subarray(0, counted * length), length, ends).filter((t) => t !== NO_TARGET).length
    tokens += count
    nll += count * crossEntropy
    const gates = await step.gates()
    const rows = batch * length
    for (const kind of [0, 1]) {
      for (let at = kind * rows; at < gates.length; at += 2 * rows) {
        const live = gates.subarray(at, at + counted * length)
        executed[kind] =
          (executed[kind] as number) + live.reduce((sum, gate) => sum + gate, 0) / (gates.length / 2 / rows)
      }
    }
  }
  const share = (kind: 0 | 1) => 1 - (executed[kind] as number) / (windows.length * length)
  const [attention, mlp] = [share(0), share(1)]
  return { tokens, nll: nll / tokens, skip: { attention, mlp, total: (attention + mlp) / 2 } }
}
