import type { TraceFile } from '../runtime/trace.js'
import { stepWeightBytes } from '../study/work.js'
import type { Model } from './model-api.js'

/**
 * Bytes of weights that decoding reads for a token, on average over the steps of a trace: the head for every token, K and V
 * projections unless a fixed set left them out, the rest of a sublayer where it ran. A model that mixes forms counts as if all were in `model.dtype`; norms and routers, which
 * are small, are left out. 0 for a trace without steps.
 */
export function weightBytesPerToken(model: Pick<Model, 'config' | 'dtype'>, trace: TraceFile): number {
  let bytes = 0
  for (const step of trace.steps) {
    const ran = (i: number) => (i % 2 === 0 ? step.attention : step.mlp)[i >> 1] === '1'
    const keysValues = (layer: number) => step.keysValues?.[layer] !== '0'
    bytes += stepWeightBytes(model.config, model.dtype, { ran, keysValues })
  }
  return trace.steps.length === 0 ? 0 : bytes / trace.steps.length
}
