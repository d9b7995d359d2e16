import { checkLayers, checkPresent, type GateTensors, gateTensor } from './gate-tensors.js'
import type { GateHead, Gates } from './gates.js'
import type { SkipPolicy } from './policy.js'
import { named } from './policy-name.js'

/** Names of the tensors, as the released code saves them, but for the `model.` that Hugging Face's names begin with. */
export const DLLM_TENSORS =
  /^model\.layers\.\d+\.router\.(linear_1\.(weight|bias)|norm\.weight|linear_2\.(weight|bias))$/

/** Tokens at the beginning of a sequence that run everything (`dynamic_reserve_initials` of the released code). */
const INITIALS = 2

/**
 * `model.layers.{i}.router.{linear_1.weight [r, d], linear_1.bias [r], norm.weight [r], linear_2.weight [2, r], linear_2.bias [2]}`, of some
 * or all layers, r the same in all; the others always run. Row 1 of `linear_2` is for running.
 * @throws `missing-weights`, `wrong-model`, `bad-file`.
 */
export function readDllm(
  tensors: GateTensors,
  { layers, hiddenSize: d }: { readonly layers: number; readonly hiddenSize: number },
): Gates {
  checkPresent(tensors, 'dllm', 'routers, "model.layers.2.router.linear_1.weight" and so on')
  checkLayers(tensors, /layers\.(\d+)\./, layers)
  const routed = new Set([...tensors.keys()].map((key) => Number(/layers\.(\d+)\./.exec(key)?.[1])))
  const keyOf = (layer: number, part: string) => `model.layers.${layer}.router.${part}`
  const [first = 0] = routed
  // A size that is not there, or 0, becomes one that its tensor does not have.
  const r = tensors.get(keyOf(first, 'linear_1.weight'))?.shape[0] || 1
  const valuesOf = (layer: number, part: string, shape: readonly number[]) =>
    gateTensor(tensors, keyOf(layer, part), shape)
  const ofLayers = <T>(read: (layer: number) => T) =>
    Array.from({ length: layers }, (_, layer) => (routed.has(layer) ? read(layer) : undefined))
  const heads = ofLayers((layer): GateHead => {
    const weight = valuesOf(layer, 'linear_2.weight', [2, r])
    const [skip = 0, run = 0] = valuesOf(layer, 'linear_2.bias', [2])
    return {
      norm: valuesOf(layer, 'norm.weight', [r]),
      weight: Float32Array.from({ length: r }, (_, i) => (weight[r + i] as number) - (weight[i] as number)),
      bias: run - skip,
    }
  })
  return {
    reads: 'entry',
    layers: ofLayers((layer) => ({
      weight: valuesOf(layer, 'linear_1.weight', [r, d]),
      bias: valuesOf(layer, 'linear_1.bias', [r]),
    })),
    outputs: r,
    tie: 'runs',
    ofLayers: { heads, activation: 'silu', initials: INITIALS },
  }
}

/**
 * D-LLM (NeurIPS 2024, Jiang et al., "D-LLM: A Token Adaptive Computing Resource Allocation Strategy for Large Language Models"): a router decides for a
 * whole layer, by the stream x at its entry,
 *
 *     g = softmax(linear_2 · silu(RMSNorm(linear_1 x)))[run]      x = layer(x)  where g >= threshold,  else x
 *
 * The first two tokens of a sequence run every layer. A token that skips a layer has no key and no value there (KV-cache eviction): its position stays,
 * and later tokens do not see it in that layer.
 *
 * Departures: the two logits are one, their difference, rounded to f32 once; `threshold`, fixed at 0.5 there, is an option. Where the released code
 * reads a prompt it computes every row and throws away what skips; here only rows that run are computed, with the same result. The LoRA that is
 * trained beside the routers is not read under the names that the released code gives it: merge it, or give it as a PEFT folder.
 */
export function dllm({ threshold }: { readonly threshold: number }, gates: Gates): SkipPolicy {
  return {
    name: named('dllm', [threshold === 0.5 ? '' : `threshold=${threshold}`]),
    decide: (sublayer) => (gates.layers[sublayer >> 1] ? 'routed' : 'run'),
    scoring: { kind: 'gates', mlp: gates },
    threshold: () => threshold,
    skipped: 'hole',
  }
}
