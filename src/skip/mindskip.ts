import { checkLayers, checkPresent, type GateTensors, gateTensor } from './gate-tensors.js'
import type { Gates } from './gates.js'
import type { SkipPolicy } from './policy.js'
import { named } from './policy-name.js'

/** Names of the tensors, as the released code saves them. */
export const MINDSKIP_TENSORS = /^model\.layers\.\d+\.router\.(weight|bias)$/

/**
 * `model.layers.{i}.router.weight` [1, d], and a `.bias` [1] where there is one, of some or all layers; the others always run.
 * @throws `missing-weights`, `wrong-model`, `bad-file`.
 */
export function readMindSkip(
  tensors: GateTensors,
  { layers, hiddenSize }: { layers: number; hiddenSize: number },
): Gates['layers'] {
  checkPresent(tensors, 'mindskip', 'routers, "model.layers.0.router.weight" and so on')
  checkLayers(tensors, /layers\.(\d+)\./, layers)
  return Array.from({ length: layers }, (_, layer) => {
    const key = (part: string) => `model.layers.${layer}.router.${part}`
    const [weight, bias] = [tensors.has(key('weight')), tensors.has(key('bias'))]
    if (!weight && !bias) return undefined
    return {
      weight: gateTensor(tensors, key('weight'), [1, hiddenSize]),
      bias: bias ? gateTensor(tensors, key('bias'), [1]) : new Float32Array(1),
    }
  })
}

/**
 * MindSkip, of Router-Tuning (arXiv 2410.13184): attention alone is routed, by what it reads, u, behind its norm,
 *
 *     s = sigmoid(w · u + b)      x = x + attention(u)  where s >= threshold,  else x
 *
 * `token`: for every token. `sequence`: u is the mean over the prompt, and the decision holds for all of the prompt and for all that is generated. The
 * released code decides anew in every call, and so for every token that it generates; that the prompt's decision stays is ours. Of a prompt that is
 * read in several chunks, the first one decides (512 tokens; 64 where a text is scored), as a chunk is computed before the next is read: ours too.
 * Routed MLPs and blocks, which the paper finds worse, are not read. Keys and values are made for every token: the released code computes what it
 * skips too.
 */
export function mindskip(
  { threshold, form }: { readonly threshold: number; readonly form: 'sequence' | 'token' },
  layers: Gates['layers'],
): SkipPolicy {
  const options = [form === 'sequence' ? '' : `form=${form}`, threshold === 0.5 ? '' : `threshold=${threshold}`]
  return {
    name: named('mindskip', options),
    decide: (sublayer) => (sublayer % 2 === 0 && layers[sublayer >> 1] ? 'routed' : 'run'),
    scoring: {
      kind: 'gates',
      attention: { reads: 'normed', layers, outputs: 1, tie: 'runs', ...(form === 'sequence' && { pools: true }) },
    },
    threshold: () => threshold,
  }
}
