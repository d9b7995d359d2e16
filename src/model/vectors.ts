import { SkipstoneError } from '../errors.js'
import { readF32, type TensorEntry } from '../formats/safetensors.js'
import type { LayerTensorNames } from './architectures/index.js'
import type { Checkpoint } from './checkpoint.js'
import type { ModelConfig } from './config.js'
import type { MoveOptions } from './matrix-loader.js'
import { VectorArena } from './vector-arena.js'

/** Where one layer's vectors begin in `ModelWeights.vectors`, in units of four values. */
export interface LayerVectors {
  readonly inputNorm: number
  readonly postNorm: number
  readonly qkvBias: number
  /** Q's weights, then K's. */
  readonly qkNorm: number
  readonly oBias: number
  readonly gateUpBias: number
  readonly downBias: number
}

/** The vectors of a checkpoint that go into one arena, and how to read them. */
export class VectorLoader {
  readonly arena = new VectorArena()
  /** By name. */
  readonly jobs = new Map<string, (options: MoveOptions) => Promise<void>>()

  constructor(private readonly checkpoint: Checkpoint) {}

  /**
   * Adds vectors one behind the other, names that are undefined left out; returns where they start, in units of four values.
   * @throws `missing-tensor`, `bad-file`.
   */
  add(vectors: readonly (readonly [name: string | undefined, length: number])[]): number {
    const values: Float32Array[] = []
    for (const [name, length] of vectors) {
      if (name === undefined) continue
      const entry = vectorEntry(this.checkpoint, name, length)
      const target = new Float32Array(length)
      values.push(target)
      this.jobs.set(name, async ({ signal, onBytes }) => {
        const bytes = entry.end - entry.start
        target.set(readF32(entry, await this.checkpoint.read(name, 0, bytes, signal)))
        onBytes(bytes)
      })
    }
    return this.arena.add(values)
  }
}

/** Adds a layer's vectors, as far as the model has them. */
export function addLayerVectors(vectors: VectorLoader, config: ModelConfig, n: LayerTensorNames): LayerVectors {
  const { hiddenSize, intermediateSize, heads, kvHeads, headDim } = config
  const q = heads * headDim
  const kv = kvHeads * headDim
  // Each head's norm weights start at a whole vec4.
  const qkNorm = vectors.add([[n.qNorm, headDim]])
  vectors.add([[n.kNorm, headDim]])
  return {
    qkNorm,
    inputNorm: vectors.add([[n.inputNorm, hiddenSize]]),
    postNorm: vectors.add([[n.postNorm, hiddenSize]]),
    qkvBias: vectors.add([
      [n.qBias, q],
      [n.kBias, kv],
      [n.vBias, kv],
    ]),
    oBias: vectors.add([[n.oBias, hiddenSize]]),
    gateUpBias: vectors.add([
      [n.gateBias, intermediateSize],
      [n.upBias, intermediateSize],
    ]),
    downBias: vectors.add([[n.downBias, hiddenSize]]),
  }
}

function vectorEntry(checkpoint: Checkpoint, name: string, length: number): TensorEntry {
  const entry = checkpoint.entries.get(name)
  if (!entry) throw new SkipstoneError('missing-tensor', `The checkpoint lacks the tensor ${name}.`)
  if (entry.shape.length !== 1 || entry.shape[0] !== length) {
    throw new SkipstoneError(
      'bad-file',
      `The tensor ${name} has shape [${entry.shape.join(', ')}], but config.json asks for [${length}].`,
    )
  }
  return entry
}
