import { mergeLora } from '../../src/kernels/reference/lora.js'
import type { ReferenceTensors } from './model.js'

/**
 * A model's tensors with a PEFT adapter merged in: `W + alpha / r * B A` for every adapted weight.
 *
 * Names in the adapter are `base_model.model.<layer name>.lora_A.weight` [r, k] and `….lora_B.weight` [n, r].
 */
export function withAdapter(tensors: ReferenceTensors, adapter: ReferenceTensors, alpha: number): ReferenceTensors {
  const merged = new Map(tensors)
  for (const [name, a] of adapter) {
    const layer = /^base_model\.model\.(.*)\.lora_A\.weight$/.exec(name)?.[1]
    if (layer === undefined) continue
    const b = adapter.get(`base_model.model.${layer}.lora_B.weight`)!
    const weight = tensors.get(`${layer}.weight`)!
    const [n, k] = weight.shape as [number, number]
    const r = a.shape[0]!
    merged.set(`${layer}.weight`, {
      shape: weight.shape,
      data: mergeLora(weight.data, a.data, b.data, alpha / r, n, k, r),
    })
  }
  return merged
}
