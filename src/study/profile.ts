import { throwIfAborted } from '../errors.js'
import { type DispatchTime, GpuProfile } from '../gpu/profile.js'
import { type MatrixName, matrixShapes } from '../model/layer-matrices.js'
import { matrixBytes } from '../model/matrix-loader.js'
import type { Engine } from '../runtime/engine.js'
import { GREEDY } from '../runtime/sampling.js'
import { Sequence } from '../runtime/sequence.js'
import { dense } from '../skip/dense.js'
import type { SkipPolicy } from '../skip/policy.js'
import { type DeviceLimits, measureLimits } from './device-limits.js'
import { median } from './median.js'
import { syntheticIds } from './synthetic.js'

/** One kernel's part of a prefill, or of one decode step. */
export interface ProfileRow {
  phase: 'prefill' | 'decode'
  tokens: number
  kernel: string
  dispatches: number
  /** All of its dispatches; the median of the rounds. */
  ms: number
  /** Of the phase's time on the GPU. */
  share: number
  /** Of the device's limit: of reading in decode, of arithmetic in prefill; null where neither bounds it, or what is skipped decides. */
  ofLimit: number | null
}

/** The same time by sublayer. */
export interface ProfileSublayers {
  phase: 'prefill' | 'decode'
  tokens: number
  /** [2L] milliseconds of attention (2 · layer) and MLP (2 · layer + 1), medians of the rounds. */
  ms: number[]
  /** Embedding, decisions, head and sampling. */
  restMs: number
}

export interface ProfileResult {
  limits: DeviceLimits
  rows: ProfileRow[]
  sublayers: ProfileSublayers[]
}

const ROUNDS = 3

/** Times each kernel and each sublayer by the device's timestamps. @throws `unsupported` where it has none. */
export async function profile(
  engine: Engine,
  options: {
    policy?: SkipPolicy
    tokens: readonly number[]
    phases: readonly ProfileRow['phase'][]
    signal?: AbortSignal | undefined
    /** Rounds done and to do. */
    onProgress?: ((done: number, all: number) => void) | undefined
  },
): Promise<ProfileResult> {
  const { contextLength, vocabSize } = engine.shape.config
  const { policy = dense, phases, signal, onProgress } = options
  const timer = new GpuProfile(engine.gpu)
  const sequence = new Sequence(engine, policy, { contextLength, timer })
  const result: Omit<ProfileResult, 'limits'> = { rows: [], sublayers: [] }
  let done = 0
  const all = options.tokens.length * phases.length * (ROUNDS + 1)
  try {
    const limits = await measureLimits(engine.gpu, timer, engine.target.choice.form.value)
    for (const tokens of options.tokens) {
      const ids = syntheticIds(tokens, vocabSize)
      for (const phase of phases) {
        const rounds: DispatchTime[][] = []
        for (let round = 0; round <= ROUNDS; round++) {
          throwIfAborted(signal)
          onProgress?.(done++, all)
          sequence.rewind(0)
          await sequence.prefill(ids, { sampling: GREEDY })
          if (phase === 'decode') {
            await timer.read()
            await (await sequence.decode(1))()
          }
          const times = await timer.read()
          // The first round compiles and warms up.
          if (round > 0) rounds.push(times)
        }
        const kernels = rounds.map(byKernel)
        result.rows.push(...phaseRows(engine, { phase, tokens, isDense: policy === dense }, kernels, limits))
        result.sublayers.push({ phase, tokens, ...bySublayer(await sequence.sublayers(phase), rounds) })
      }
    }
    return { limits, ...result }
  } finally {
    sequence.destroy()
    timer.destroy()
  }
}

/** `parts`: the sublayers of a step's dispatches, which begin with the embedding. */
function bySublayer(parts: readonly (number | undefined)[], rounds: readonly DispatchTime[][]) {
  const sublayers = Math.max(-1, ...parts.map((part) => part ?? -1)) + 1
  const sums = rounds.map((times) => {
    const ms = new Array<number>(sublayers + 1).fill(0)
    let at = 0
    for (const time of times) {
      // Of a long prompt every chunk begins anew.
      at = time.label === 'embed' ? 0 : at + 1
      const part = parts[at] ?? sublayers
      ms[part] = (ms[part] as number) + time.ms
    }
    return ms
  })
  const medians = Array.from({ length: sublayers + 1 }, (_, i) => median(sums.map((ms) => ms[i] as number)))
  return { ms: medians.slice(0, sublayers), restMs: medians[sublayers] as number }
}

function byKernel(times: readonly { label: string; ms: number }[]): Map<string, { ms: number; dispatches: number }> {
  const sums = new Map<string, { ms: number; dispatches: number }>()
  for (const { label, ms } of times) {
    const sum = sums.get(label) ?? { ms: 0, dispatches: 0 }
    sums.set(label, { ms: sum.ms + ms, dispatches: sum.dispatches + 1 })
  }
  return sums
}

function phaseRows(
  engine: Engine,
  { phase, tokens, isDense }: { phase: ProfileRow['phase']; tokens: number; isDense: boolean },
  rounds: readonly Map<string, { ms: number; dispatches: number }>[],
  limits: DeviceLimits,
): ProfileRow[] {
  const kernels = [...(rounds[0] ?? new Map()).keys()]
  const ms = new Map(kernels.map((kernel) => [kernel, median(rounds.map((round) => round.get(kernel)?.ms ?? 0))]))
  const all = [...ms.values()].reduce((sum, n) => sum + n, 0)
  const limit = phase === 'decode' ? limits.bytesPerSecond : limits.flops
  return kernels
    .map((kernel): ProfileRow => {
      const time = ms.get(kernel) as number
      const work = phase === 'decode' ? kernelBytes(engine, kernel, tokens) : kernelFlops(engine, kernel, tokens)
      const dispatches = rounds[0]?.get(kernel)?.dispatches ?? 0
      // A browser may round a short time to nothing.
      const ofLimit = work === undefined || !isDense || time === 0 ? null : work / (time / 1000) / limit
      return { phase, tokens, kernel, dispatches, ms: time, share: all === 0 ? 0 : time / all, ofLimit }
    })
    .sort((a, b) => b.ms - a.ms)
}

const DECODE_MATRICES: Readonly<Record<string, MatrixName>> = {
  'qkv-decode': 'qkv',
  'attention-output': 'o',
  'gate-up-decode': 'gateUp',
  'down-decode': 'down',
}

/** Bytes that a kernel reads in all layers of a step; undefined where they are few. */
function kernelBytes({ shape, weights }: Engine, kernel: string, context: number): number | undefined {
  const { config } = shape
  const matrix = DECODE_MATRICES[kernel]
  if (matrix) {
    const { rows, k } = matrixShapes(config)[matrix]
    return weights.dtypes.layers.reduce((sum, dtypes) => sum + matrixBytes(rows, k, dtypes[matrix]), 0)
  }
  if (kernel === 'head') return matrixBytes(config.vocabSize, config.hiddenSize, weights.dtypes.head)
  const keys = config.layers * 4 * config.kvHeads * config.headDim * (context + 1)
  if (kernel === 'attention-decode') return 2 * keys
  if (kernel === 'attention-scores' || kernel === 'attention-values') return keys
  return undefined
}

/** Floating-point operations of a kernel in all layers; undefined where they are few. */
function kernelFlops({ shape }: Engine, kernel: string, tokens: number): number | undefined {
  const { config } = shape
  const matrix = /^gemm (\w+)$/.exec(kernel)?.[1] as MatrixName | undefined
  if (matrix) {
    const { rows, k } = matrixShapes(config)[matrix]
    return config.layers * 2 * tokens * rows * k
  }
  if (kernel === 'attention-prefill') return config.layers * 2 * config.heads * config.headDim * tokens * (tokens + 1)
  return undefined
}
