import type { ParameterTensor } from './parameters.js'
import type { ResidualSizes } from './residual-sizes.js'
import type { TrainingSettings } from './settings.js'

/** Of what is added to all of a router's logits, against what is multiplied by a residual of size 1. */
const BIAS = 10

/**
 * What the learning rate of each parameter of routers is multiplied by, so that one rate suits all layers: AdamW moves every weight by as much, and the
 * residual stream that some of them multiply grows a hundredfold from the first layer to the last. Divided by its size, a weight moves a logit by as much in
 * each layer. Of two-layer routers this is so of the first; what lies behind it learns at the plain rate.
 */
export function routerRates(
  tensors: readonly ParameterTensor[],
  sizes: readonly ResidualSizes[],
  input: TrainingSettings['input'],
): Float32Array<ArrayBuffer> {
  const twoLayers = tensors.some(({ name }) => name.includes('.hidden_layer.'))
  const rateOf = (name: string): number => {
    if (name.endsWith('weight_predictor.bias')) return BIAS
    if (!name.endsWith(twoLayers ? 'hidden_layer.weight' : 'weight_predictor.weight')) return 1
    const { entry, middle } = sizes[Number(name.split('.')[2])] as ResidualSizes
    // A residual of zeros moves nothing.
    return 1 / ((input === 'post-attention' && name.includes('.router_mlp.') ? middle : entry) || 1)
  }
  const rates = new Float32Array(tensors.reduce((sum, { data }) => sum + data.length, 0))
  let at = 0
  for (const { name, data } of tensors) {
    rates.fill(rateOf(name), at, at + data.length)
    at += data.length
  }
  return rates
}
