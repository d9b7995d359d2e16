import { GpuProfile } from '../gpu/profile.js'
import { type MatrixName, matrixShapes } from '../model/layer-matrices.js'
import { matrixBytes } from '../model/matrix-loader.js'
import type { Engine } from '../runtime/engine.js'
import { GREEDY } from '../runtime/sampling.js'
import { Sequence } from '../runtime/sequence.js'
import { dense } from '../skip/dense.js'
import { type DeviceLimits, measureLimits } from './device-limits.js'
import { median } from './median.js'
import { syntheticIds } from './synthetic.js'

/** One kernel's part of a dense prefill, or of one dense decode step. */
export interface ProfileRow {
  shape: string
  phase: 'prefill' | 'decode'
  tokens: number
  kernel: string
  dispatches: number
  /** All of its dispatches; the median of the rounds. */
  ms: number
  /** Of the phase's time on the GPU. */
  share: number
  /** Of the device's limit: of reading in decode, of arithmetic in prefill; null where neither bounds it. */
  ofLimit: number | null
}

export interface ProfileResult {
  limits: DeviceLimits
  rows: ProfileRow[]
}

const ROUNDS = 3

/** Times each kernel by the device's timestamps. @throws `unsupported` where it has none. */
export async function profile(
  engine: Engine,
  options: {
    shape: string
    tokens: readonly number[]
    phases: readonly ProfileRow['phase'][]
    signal?: AbortSignal | undefined
  },
): Promise<ProfileResult> {
  const { contextLength, vocabSize } = engine.shape.config
  const timer = new GpuProfile(engine.gpu)
  const sequence = new Sequence(engine, dense, { contextLength })
  const rows: ProfileRow[] = []
  try {
    const limits = await measureLimits(engine.gpu, timer, engine.target.choice.form.value)
    for (const tokens of options.tokens) {
      const ids = syntheticIds(tokens, vocabSize)
      for (const phase of options.phases) {
        const rounds: Map<string, { ms: number; dispatches: number }>[] = []
        for (let round = 0; round <= ROUNDS; round++) {
          options.signal?.throwIfAborted()
          sequence.rewind(0)
          engine.profile = phase === 'prefill' ? timer : undefined
          await sequence.prefill(ids, { sampling: GREEDY })
          engine.profile = timer
          if (phase === 'decode') await (await sequence.decode(1))()
          engine.profile = undefined
          const times = await timer.read()
          if (round > 0) rounds.push(byKernel(times))
        }
        rows.push(...phaseRows(engine, options.shape, phase, tokens, rounds, limits))
      }
    }
    return { limits, rows }
  } finally {
    engine.profile = undefined
    sequence.destroy()
    timer.destroy()
  }
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
  shape: string,
  phase: ProfileRow['phase'],
  tokens: number,
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
      const ofLimit = work === undefined ? null : work / (time / 1000) / limit
      return { shape, phase, tokens, kernel, dispatches, ms: time, share: time / all, ofLimit }
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
  if (kernel === 'attention-decode') return config.layers * 4 * 2 * config.kvHeads * config.headDim * (context + 1)
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
