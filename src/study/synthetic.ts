import { SkipstoneError } from '../errors.js'
import type { TensorEntry } from '../formats/safetensors.js'
import { ARCHITECTURES } from '../model/architectures/index.js'
import type { Checkpoint } from '../model/checkpoint.js'
import type { ModelConfig } from '../model/config.js'

/** Sizes of a synthetic Llama for benchmarks. */
interface SyntheticShape {
  layers: number
  hiddenSize: number
  intermediateSize: number
  heads: number
  kvHeads: number
  vocabSize: number
}

const SHAPES: Readonly<Record<string, SyntheticShape>> = {
  'syn-15m': { layers: 6, hiddenSize: 288, intermediateSize: 768, heads: 6, kvHeads: 6, vocabSize: 32000 },
  'syn-135m': { layers: 30, hiddenSize: 576, intermediateSize: 1536, heads: 9, kvHeads: 3, vocabSize: 49152 },
  // The sizes of Llama 3.2 1B and of Llama 3.1 8B with the head tied to the embedding.
  'syn-1b': { layers: 16, hiddenSize: 2048, intermediateSize: 8192, heads: 32, kvHeads: 8, vocabSize: 128256 },
  'syn-8b': { layers: 32, hiddenSize: 4096, intermediateSize: 14336, heads: 32, kvHeads: 8, vocabSize: 128256 },
}

export const SHAPE_NAMES = Object.keys(SHAPES)

/** Those that any device runs. */
export const SMALL_SHAPES = ['syn-15m', 'syn-135m']

/** @throws `bad-option` for a name that is not in `SHAPE_NAMES`. */
export function syntheticConfig(name: string): ModelConfig {
  const shape = Object.hasOwn(SHAPES, name) ? SHAPES[name] : undefined
  if (!shape) throw new SkipstoneError('bad-option', `There is no shape "${name}"; use ${SHAPE_NAMES.join(', ')}.`)
  return {
    ...shape,
    architecture: 'llama',
    headDim: shape.hiddenSize / shape.heads,
    contextLength: 2048,
    rmsNormEps: 1e-5,
    rope: { kind: 'default', theta: 10000 },
    tiedEmbeddings: true,
    qkvBias: false,
    outputBias: false,
    mlpBias: false,
    qkNorm: false,
    bosTokenId: 1,
    eosTokenIds: [],
    torchDtype: 'float32',
  }
}

/** A prompt of so many ids, spread over the vocabulary. */
export function syntheticIds(count: number, vocabSize: number): number[] {
  return Array.from({ length: count }, (_, i) => (i * 7919) % vocabSize)
}

/** Values repeat after this many numbers: no kernel can tell, and a large model is made in a second. */
const PERIOD = 1 << 20

/**
 * A checkpoint of finite random numbers. Matrices are uniform with the variance 1 / fan-in of a trained model's scale,
 * so that activations stay finite through any depth; norm weights are 1.
 */
export function syntheticCheckpoint(config: ModelConfig): Checkpoint {
  const shapes = tensorShapes(config)
  const noise = uniformNoise()
  const scaled = new Map<number, Float32Array>()
  const noiseFor = (fanIn: number): Float32Array => {
    const known = scaled.get(fanIn) ?? noise.map((value) => value * Math.sqrt(12 / fanIn))
    scaled.set(fanIn, known)
    return known
  }
  const entries = new Map<string, TensorEntry>()
  for (const [name, shape] of shapes) {
    const bytes = 4 * shape.reduce((product, n) => product * n, 1)
    entries.set(name, { name, dtype: 'F32', shape, start: 0, end: bytes })
  }
  return {
    entries,
    files: [],
    async read(name, start, end) {
      const shape = shapes.get(name) as readonly number[]
      const values = new Float32Array((end - start) / 4)
      if (shape.length === 1) return new Uint8Array(values.fill(1).buffer)
      const source = noiseFor(shape[1] as number)
      for (let i = 0; i < values.length; ) {
        const from = (start / 4 + i) % PERIOD
        const part = source.subarray(from, from + values.length - i)
        values.set(part, i)
        i += part.length
      }
      return new Uint8Array(values.buffer)
    },
  }
}

function tensorShapes(config: ModelConfig): Map<string, readonly number[]> {
  const { tensors } = ARCHITECTURES[config.architecture]
  const { hiddenSize: d, intermediateSize: ff, heads, kvHeads, headDim, vocabSize } = config
  const shapes = new Map<string, readonly number[]>([
    [tensors.embedding, [vocabSize, d]],
    [tensors.finalNorm, [d]],
  ])
  for (let layer = 0; layer < config.layers; layer++) {
    const n = tensors.layer(layer, config)
    shapes.set(n.inputNorm, [d]).set(n.postNorm, [d])
    shapes
      .set(n.q, [heads * headDim, d])
      .set(n.k, [kvHeads * headDim, d])
      .set(n.v, [kvHeads * headDim, d])
    shapes
      .set(n.o, [d, heads * headDim])
      .set(n.gate, [ff, d])
      .set(n.up, [ff, d])
      .set(n.down, [d, ff])
  }
  return shapes
}

/** Uniform numbers in [-0.5, 0.5) from a 32-bit xorshift (Marsaglia 2003). */
function uniformNoise(): Float32Array {
  let state = 0x9e3779b9
  return Float32Array.from({ length: PERIOD }, () => {
    state ^= state << 13
    state ^= state >>> 17
    state ^= state << 5
    return (state >>> 0) / 2 ** 32 - 0.5
  })
}
