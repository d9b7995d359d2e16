import type { RouterWeights } from '../../src/kernels/reference/router.js'
import type { ReferenceTensors } from './model.js'

/**
 * SkipGPT routers under their official names.
 *
 * -> one router per sublayer, numbered 2 * layer (attention) and 2 * layer + 1 (MLP)
 */
export function foldRouters(tensors: ReferenceTensors, layers: number): RouterWeights[] {
  const routers: RouterWeights[] = []
  for (let layer = 0; layer < layers; layer++) {
    routers.push(foldRouter(tensors, `model.layers.${layer}.router_attention`))
    routers.push(foldRouter(tensors, `model.layers.${layer}.router_mlp`))
  }
  return routers
}

/** One router, folded to the difference of its two logits. */
export function foldRouter(tensors: ReferenceTensors, prefix: string): RouterWeights {
  return {
    weight: difference(tensors.get(`${prefix}.weight_predictor.weight`)!.data),
    bias: difference(tensors.get(`${prefix}.weight_predictor.bias`)!.data)[0]!,
    hiddenWeight: tensors.get(`${prefix}.hidden_layer.weight`)?.data,
    hiddenBias: tensors.get(`${prefix}.hidden_layer.bias`)?.data,
  }
}

/** [2, n] -> row 0 minus row 1, [n] */
function difference(rows: ArrayLike<number>): Float64Array {
  const n = rows.length / 2
  return Float64Array.from({ length: n }, (_, i) => rows[i]! - rows[n + i]!)
}
