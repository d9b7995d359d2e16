import { argmax } from '../../src/kernels/reference/argmax.js'
import { attention } from '../../src/kernels/reference/attention.js'
import { compact } from '../../src/kernels/reference/compact.js'
import { linear } from '../../src/kernels/reference/linear.js'
import { rmsNorm } from '../../src/kernels/reference/rms-norm.js'
import { rope } from '../../src/kernels/reference/rope.js'
import { type RouterWeights, routerScores } from '../../src/kernels/reference/router.js'
import { swiglu } from '../../src/kernels/reference/swiglu.js'
import type { RopeRow } from './rope-rows.js'

export interface ReferenceConfig {
  hiddenSize: number
  intermediateSize: number
  layers: number
  heads: number
  kvHeads: number
  headDim: number
  vocabSize: number
  rmsNormEps: number
  tiedEmbeddings: boolean
  qkvBias: boolean
  outputBias: boolean
  mlpBias: boolean
  /** RMSNorm on every head of q and k before RoPE (Qwen3). */
  qkNorm: boolean
}

/** By Hugging Face name. */
export type ReferenceTensors = ReadonlyMap<string, { shape: readonly number[]; data: ArrayLike<number> }>

export interface ForwardOptions {
  /** One folded router per sublayer; without them every sublayer runs. */
  routers?: RouterWeights[]
  /** A routed sublayer runs iff z >= delta. Default 0. */
  delta?: number
  /** What the MLP routers read: the residual at layer entry (default), or after attention. */
  mlpRouterInput?: 'entry' | 'post-attention'
  /** Decides in place of the routers; they are still scored where given. Positions count from the start of the cache. */
  execute?: (sublayer: number, position: number) => boolean
  /** What a token that skips a sublayer multiplies its residual by. Default 1. */
  scale?: (sublayer: number) => number
}

/** Keys (after RoPE) and values of every token so far, [positions, kvHeads, headDim] per layer. */
export interface ReferenceCache {
  positions: number
  keys: number[][]
  values: number[][]
}

export interface ForwardResult {
  /** [T, vocab] */
  logits: Float64Array
  /** Per sublayer [T], 1 = executed. Sublayers are numbered 2 * layer (attention) and 2 * layer + 1 (MLP). */
  execute: Uint8Array[]
  /** Per sublayer [T]: the routers' margins, before delta is subtracted. Empty without routers. */
  z: Float64Array[]
  /** [T, d] each: the embedding, then the residual stream after every sublayer. */
  hidden: Float64Array[]
}

/**
 * A whole decoder (Llama, Mistral, Qwen2, Qwen3) in f64 with token-wise skipping, to compare the runtime with. For every
 * layer, with X the residual stream at its entry:
 *
 *     z_a = router_a(X)    z_m = router_m(X)          run a sublayer for a token iff z >= delta
 *     U   = RMSNorm_1(X)   K, V of U for every token, always appended to the cache
 *     X1  = X  + run_a * O(attention(Q(U), K, V))
 *     X2  = X1 + run_m * MLP(RMSNorm_2(X1))
 */
export class ReferenceModel {
  private readonly weights = new Map<string, Float64Array>()

  constructor(
    readonly config: ReferenceConfig,
    tensors: ReferenceTensors,
    private readonly ropeRow: RopeRow,
  ) {
    for (const [name, { data }] of tensors) this.weights.set(name, Float64Array.from(data))
  }

  newCache(): ReferenceCache {
    const { layers } = this.config
    return {
      positions: 0,
      keys: Array.from({ length: layers }, () => []),
      values: Array.from({ length: layers }, () => []),
    }
  }

  /** Feeds ids [T] after what the cache holds. */
  forward(ids: ArrayLike<number>, options: ForwardOptions = {}, cache = this.newCache()): ForwardResult {
    const { hiddenSize: d, layers, rmsNormEps, vocabSize } = this.config
    const tokens = ids.length
    const result: ForwardResult = { logits: new Float64Array(0), execute: [], z: [], hidden: [] }

    let x = takeRows(this.embedding(), ids, d)
    result.hidden.push(x)
    for (let layer = 0; layer < layers; layer++) {
      const entry = x
      const runAttention = this.decide(2 * layer, entry, options, cache, result)
      x = scaleSkipped(this.attentionSublayer(layer, x, runAttention, cache), runAttention, options.scale?.(2 * layer))
      result.hidden.push(x)

      const routerInput = options.mlpRouterInput === 'post-attention' ? x : entry
      const runMlp = this.decide(2 * layer + 1, routerInput, options, cache, result)
      x = scaleSkipped(this.mlpSublayer(layer, x, runMlp), runMlp, options.scale?.(2 * layer + 1))
      result.hidden.push(x)
    }
    cache.positions += tokens

    const normed = rmsNorm(x, this.weight('model.norm.weight'), rmsNormEps, tokens, d)
    result.logits = linear(normed, this.head(), tokens, d, vocabSize)
    return result
  }

  /** Greedy continuation: the prompt in one step, then one token at a time. The last token is not fed. */
  greedy(
    prompt: ArrayLike<number>,
    n: number,
    options: ForwardOptions = {},
  ): { tokens: number[]; steps: ForwardResult[] } {
    const cache = this.newCache()
    const tokens: number[] = []
    const steps: ForwardResult[] = []
    let next: ArrayLike<number> = prompt
    while (tokens.length < n) {
      const step = this.forward(next, options, cache)
      steps.push(step)
      tokens.push(argmax(step.logits.subarray(-this.config.vocabSize)))
      next = tokens.slice(-1)
    }
    return { tokens, steps }
  }

  /** Which rows run this sublayer; recorded in the result. */
  private decide(
    sublayer: number,
    routerInput: Float64Array,
    options: ForwardOptions,
    cache: ReferenceCache,
    result: ForwardResult,
  ): Uint8Array {
    const { hiddenSize: d } = this.config
    const { routers, delta = 0, execute } = options
    const rows = routerInput.length / d
    const run = new Uint8Array(rows).fill(1)
    if (routers) {
      const z = routerScores(routerInput, routers[sublayer]!, rows, d)
      for (let r = 0; r < rows; r++) run[r] = z[r]! >= delta ? 1 : 0
      result.z.push(z)
    }
    if (execute) for (let r = 0; r < rows; r++) run[r] = execute(sublayer, cache.positions + r) ? 1 : 0
    result.execute.push(run)
    return run
  }

  /** x + run * O(attention(Q(U), K, V)), with K and V of every token appended to the cache. */
  private attentionSublayer(layer: number, x: Float64Array, run: Uint8Array, cache: ReferenceCache): Float64Array {
    const { hiddenSize: d, heads, kvHeads, headDim, rmsNormEps, qkNorm } = this.config
    const rows = run.length
    const prefix = `model.layers.${layer}`
    const u = rmsNorm(x, this.weight(`${prefix}.input_layernorm.weight`), rmsNormEps, rows, d)

    let k = this.project(`${prefix}.self_attn.k_proj`, u, d, kvHeads * headDim, this.config.qkvBias)
    if (qkNorm) k = rmsNorm(k, this.weight(`${prefix}.self_attn.k_norm.weight`), rmsNormEps, rows * kvHeads, headDim)
    const positions = Array.from(run, (_, r) => cache.positions + r)
    const v = this.project(`${prefix}.self_attn.v_proj`, u, d, kvHeads * headDim, this.config.qkvBias)
    for (const value of rope(k, this.ropeTable(positions), rows, kvHeads, headDim)) cache.keys[layer]!.push(value)
    for (const value of v) cache.values[layer]!.push(value)

    const { active, count } = compact(run)
    let q = this.project(`${prefix}.self_attn.q_proj`, takeRows(u, active, d), d, heads * headDim, this.config.qkvBias)
    if (qkNorm) q = rmsNorm(q, this.weight(`${prefix}.self_attn.q_norm.weight`), rmsNormEps, count * heads, headDim)
    const qPos = Array.from(active, (r) => positions[r]!)
    q = rope(q, this.ropeTable(qPos), count, heads, headDim)
    const mixed = attention(q, cache.keys[layer]!, cache.values[layer]!, qPos, heads, kvHeads, headDim)
    return addRows(
      x,
      active,
      this.project(`${prefix}.self_attn.o_proj`, mixed, heads * headDim, d, this.config.outputBias),
      d,
    )
  }

  /** x + run * down(silu(gate(U)) * up(U)) */
  private mlpSublayer(layer: number, x: Float64Array, run: Uint8Array): Float64Array {
    const { hiddenSize: d, intermediateSize, rmsNormEps, mlpBias } = this.config
    const prefix = `model.layers.${layer}`
    const { active, count } = compact(run)
    const norm = this.weight(`${prefix}.post_attention_layernorm.weight`)
    const u = rmsNorm(takeRows(x, active, d), norm, rmsNormEps, count, d)
    const gate = this.project(`${prefix}.mlp.gate_proj`, u, d, intermediateSize, mlpBias)
    const up = this.project(`${prefix}.mlp.up_proj`, u, d, intermediateSize, mlpBias)
    return addRows(
      x,
      active,
      this.project(`${prefix}.mlp.down_proj`, swiglu(gate, up), intermediateSize, d, mlpBias),
      d,
    )
  }

  /** A named linear layer: x [rows, k] -> [rows, n] */
  private project(name: string, x: Float64Array, k: number, n: number, hasBias: boolean): Float64Array {
    const bias = hasBias ? this.weight(`${name}.bias`) : undefined
    return linear(x, this.weight(`${name}.weight`), x.length / k, k, n, bias)
  }

  /** [positions, headDim] */
  private ropeTable(positions: number[]): Float64Array {
    const table = new Float64Array(positions.length * this.config.headDim)
    positions.forEach((position, r) => {
      table.set(this.ropeRow(position), r * this.config.headDim)
    })
    return table
  }

  /** A tied file may hold either name. */
  private embedding(): Float64Array {
    return this.weights.get('model.embed_tokens.weight') ?? this.weight('lm_head.weight')
  }

  private head(): Float64Array {
    return this.config.tiedEmbeddings ? this.embedding() : this.weight('lm_head.weight')
  }

  private weight(name: string): Float64Array {
    const weight = this.weights.get(name)
    if (!weight) throw new Error(`the reference model lacks ${name}`)
    return weight
  }
}

/** Rows of x [.., d], in the order of `rows` -> [rows.length, d] */
function takeRows(x: Float64Array, rows: ArrayLike<number>, d: number): Float64Array {
  const taken = new Float64Array(rows.length * d)
  for (let i = 0; i < rows.length; i++) taken.set(x.subarray(rows[i]! * d, (rows[i]! + 1) * d), i * d)
  return taken
}

/** x [T, d] with the rows that do not run multiplied by `scale`. */
function scaleSkipped(x: Float64Array, run: Uint8Array, scale = 1): Float64Array {
  const d = x.length / run.length
  return x.map((value, i) => (run[Math.floor(i / d)] ? value : scale * value))
}

/** A copy of x [.., d] with row i of `delta` added to row `rows[i]`. */
function addRows(x: Float64Array, rows: ArrayLike<number>, delta: Float64Array, d: number): Float64Array {
  const sum = x.slice()
  for (let i = 0; i < rows.length; i++) for (let j = 0; j < d; j++) sum[rows[i]! * d + j]! += delta[i * d + j]!
  return sum
}
