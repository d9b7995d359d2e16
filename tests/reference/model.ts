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

/** A learned gate of one sublayer, in f64. */
export interface ReferenceGate {
  /** The residual stream at layer entry, or what the sublayer reads behind its norm. */
  reads: 'entry' | 'normed'
  /** Of one row [d] -> [d] or [1]. Its mean is the score, which the result keeps as z. */
  gate: (t: Float64Array) => Float64Array
  runs: (score: number, position: number) => boolean
  /** What decides instead in a step of several rows, by the scores of them all. */
  runsAmong?: (score: number, all: Float64Array) => boolean
  /** Times this, channel by channel. Default: nothing. */
  output?: (g: number) => number
  /** Added to a row [d] of the stream that skips the sublayer, with this score. Default: nothing. */
  instead?: (x: Float64Array, score: number) => Float64Array
  /** One decision, of the mean of what an empty cache is fed first; `gate` gets that. */
  pools?: boolean
}

export interface ForwardOptions {
  /** In place of routers. A sublayer without one runs. */
  gates?: (sublayer: number) => ReferenceGate | undefined
  /** One folded router per sublayer; without them every sublayer runs. */
  routers?: RouterWeights[]
  /** A routed sublayer runs iff z >= delta. Default 0. */
  delta?: number
  /** What the MLP routers read: the residual at layer entry (default), or after attention. */
  mlpRouterInput?: 'entry' | 'post-attention'
  /** Decides in place of the routers; they are still scored where given. Positions count from the start of the cache. */
  execute?: (sublayer: number, position: number) => boolean
  /** What a token that skips an attention leaves in its cache: no key that is seen, or what the layer below has. Default: its own. */
  skipped?: 'hole' | 'below'
  /** What a token that skips a sublayer multiplies its residual by. Default 1. */
  scale?: (sublayer: number) => number
}

/** Keys (after RoPE) and values of every token so far, [positions, kvHeads, headDim] per layer. */
export interface ReferenceCache {
  positions: number
  keys: number[][]
  values: number[][]
  /** By layer, positions that are not seen. */
  holes: Set<number>[]
  /** Scores of gates that decide once, by sublayer. */
  pooled: Map<number, number>
}

export interface ForwardResult {
  /** [T, vocab] */
  logits: Float64Array
  /** Per sublayer [T], 1 = executed. Sublayers are numbered 2 * layer (attention) and 2 * layer + 1 (MLP). */
  execute: Uint8Array[]
  /** Per sublayer [T]: the routers' margins, before delta is subtracted, or the scores of gates. Empty without either. */
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
      holes: Array.from({ length: layers }, () => new Set()),
      pooled: new Map(),
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
      const sublayer = (kind: 0 | 1, routerInput: Float64Array) => {
        const index = 2 * layer + kind
        const { run, factors } = options.gates
          ? this.decideByGate(index, { entry, x }, options.gates(index), cache, result)
          : { run: this.decide(index, routerInput, options, cache, result), factors: undefined }
        const branch =
          kind === 0 ? this.attentionBranch(layer, x, run, cache, options.skipped) : this.mlpBranch(layer, x, run)
        const instead = options.gates?.(index)?.instead
        const kept = instead ? addInstead(x, run, (row, r) => instead(row, result.z[index]![r]!)) : x
        x = scaleSkipped(addRows(kept, compact(run).active, branch, d, factors), run, options.scale?.(index))
        result.hidden.push(x)
      }
      sublayer(0, entry)
      sublayer(1, options.mlpRouterInput === 'post-attention' ? x : entry)
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

  /** The same by a gate; `factors` [T, d] are what it multiplies the sublayer's output by. */
  private decideByGate(
    sublayer: number,
    { entry, x }: { entry: Float64Array; x: Float64Array },
    its: ReferenceGate | undefined,
    cache: ReferenceCache,
    result: ForwardResult,
  ): { run: Uint8Array; factors: Float64Array | undefined } {
    const { hiddenSize: d, rmsNormEps } = this.config
    const rows = x.length / d
    const run = new Uint8Array(rows).fill(1)
    const factors = its?.output && new Float64Array(rows * d)
    const scores = new Float64Array(rows)
    if (its) {
      const name = sublayer % 2 === 0 ? 'input_layernorm' : 'post_attention_layernorm'
      const norm = this.weight(`model.layers.${sublayer >> 1}.${name}.weight`)
      const t = its.reads === 'entry' ? entry : rmsNorm(x, norm, rmsNormEps, rows, d)
      if (its.pools && cache.positions === 0) {
        const mean = Float64Array.from({ length: d }, (_, j) => {
          return scores.reduce((sum, _, r) => sum + t[r * d + j]!, 0) / rows
        })
        cache.pooled.set(sublayer, its.gate(mean)[0]!)
      }
      for (let r = 0; r < rows; r++) {
        const g = its.pools ? [cache.pooled.get(sublayer)!] : its.gate(t.subarray(r * d, (r + 1) * d))
        scores[r] = Array.from(g).reduce((sum, value) => sum + value, 0) / g.length
        for (let j = 0; factors && j < d; j++) factors[r * d + j] = its.output!(g[j % g.length]!)
      }
      const { runsAmong } = its
      for (let r = 0; r < rows; r++) {
        const runs = runsAmong && rows > 1 ? runsAmong(scores[r]!, scores) : its.runs(scores[r]!, cache.positions + r)
        run[r] = runs ? 1 : 0
      }
    }
    result.z.push(scores)
    result.execute.push(run)
    return { run, factors }
  }

  /** O(attention(Q(U), K, V)) of the rows that run, with K and V of every token appended to the cache, or what they leave there that skip. */
  private attentionBranch(
    layer: number,
    x: Float64Array,
    run: Uint8Array,
    cache: ReferenceCache,
    skipped: ForwardOptions['skipped'],
  ): Float64Array {
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
    for (const [r, position] of positions.entries()) {
      if (run[r] === 1) continue
      if (skipped === 'hole') cache.holes[layer]!.add(position)
      if (skipped !== 'below' || layer === 0) continue
      const width = kvHeads * headDim
      for (const its of [cache.keys, cache.values]) {
        const below = its[layer - 1]!.slice(position * width, (position + 1) * width)
        its[layer]!.splice(position * width, width, ...below)
      }
    }

    const { active, count } = compact(run)
    let q = this.project(`${prefix}.self_attn.q_proj`, takeRows(u, active, d), d, heads * headDim, this.config.qkvBias)
    if (qkNorm) q = rmsNorm(q, this.weight(`${prefix}.self_attn.q_norm.weight`), rmsNormEps, count * heads, headDim)
    const qPos = Array.from(active, (r) => positions[r]!)
    q = rope(q, this.ropeTable(qPos), count, heads, headDim)
    const mixed = attention(
      q,
      cache.keys[layer]!,
      cache.values[layer]!,
      qPos,
      heads,
      kvHeads,
      headDim,
      cache.holes[layer],
    )
    return this.project(`${prefix}.self_attn.o_proj`, mixed, heads * headDim, d, this.config.outputBias)
  }

  /** down(silu(gate(U)) * up(U)) of the rows that run. */
  private mlpBranch(layer: number, x: Float64Array, run: Uint8Array): Float64Array {
    const { hiddenSize: d, intermediateSize, rmsNormEps, mlpBias } = this.config
    const prefix = `model.layers.${layer}`
    const { active, count } = compact(run)
    const norm = this.weight(`${prefix}.post_attention_layernorm.weight`)
    const u = rmsNorm(takeRows(x, active, d), norm, rmsNormEps, count, d)
    const gate = this.project(`${prefix}.mlp.gate_proj`, u, d, intermediateSize, mlpBias)
    const up = this.project(`${prefix}.mlp.up_proj`, u, d, intermediateSize, mlpBias)
    return this.project(`${prefix}.mlp.down_proj`, swiglu(gate, up), intermediateSize, d, mlpBias)
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

/** A copy of x [T, d] with what rows that do not run get instead. */
function addInstead(
  x: Float64Array,
  run: Uint8Array,
  instead: (row: Float64Array, r: number) => Float64Array,
): Float64Array {
  const d = x.length / run.length
  const sum = x.slice()
  for (let r = 0; r < run.length; r++) {
    if (run[r]) continue
    const added = instead(x.subarray(r * d, (r + 1) * d), r)
    for (let j = 0; j < d; j++) sum[r * d + j]! += added[j]!
  }
  return sum
}

/** A copy of x [.., d] with row i of `delta` added to row `rows[i]`, times the factors of that row. */
function addRows(
  x: Float64Array,
  rows: ArrayLike<number>,
  delta: Float64Array,
  d: number,
  factors?: Float64Array,
): Float64Array {
  const sum = x.slice()
  for (let i = 0; i < rows.length; i++) {
    for (let j = 0; j < d; j++) {
      const at = rows[i]! * d + j
      sum[at]! += (factors?.[at] ?? 1) * delta[i * d + j]!
    }
  }
  return sum
}
