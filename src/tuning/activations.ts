import { batchPositions } from '../../shaders/snippets/plan.js'
import type { GpuDevice } from '../gpu/device.js'
import { ropeTable } from '../model/rope.js'
import type { RuntimeShape } from '../runtime/shape.js'
import type { BatchShape } from './batch.js'
import { logitsStride } from './head.js'

/** Buffers of a training step. Rows are those of the batch; widths are filled up with zeros to a multiple of four. */
export interface Activations {
  /** What kernels of the runtime read: every row, and each row's position in its sequence. */
  readonly plan: GPUBuffer
  readonly rope: GPUBuffer
  /** u32 [rows] */
  readonly ids: GPUBuffer
  readonly targets: GPUBuffer
  /** See shaders/snippets/step-settings.ts. */
  readonly settings: GPUBuffer
  readonly losses: GPUBuffer
  /** [2 layers, rows] */
  readonly gates: GPUBuffer
  /** All that is kept of a forward pass: inputs of layers, and the output of the last one; and what lies between their sublayers. [rows, hidden] each */
  readonly inputs: readonly GPUBuffer[]
  readonly middles: readonly GPUBuffer[]
  /** And what attentions give, [rows, heads headDim], and their log-sum-exps, [rows, heads]: dear to make again in a long sequence. */
  readonly attended: readonly GPUBuffer[]
  readonly logSumExps: readonly GPUBuffer[]
  /** Gradient in the residual stream [rows, hidden], from the last layer down. */
  readonly dx: GPUBuffer
  /** Of one layer at a time, made again for its gradients. */
  readonly layer: LayerActivations
  /** Logits of a slice of the vocabulary. */
  readonly logits: GPUBuffer
  /** [rows] of four, see shaders/cross-entropy-slice.wgsl.ts. */
  readonly sums: GPUBuffer
}

/** Activations of a layer and their gradients. `mlp` and `attention` are outputs of sublayers, before the gate. */
export interface LayerActivations {
  /** Normalised input [rows, hidden]. */
  readonly u: GPUBuffer
  /** [rows, heads headDim] and [rows, 2 kvHeads headDim]: as projected, and turned. */
  readonly rawQuery: GPUBuffer
  readonly rawKeysValues: GPUBuffer
  readonly q: GPUBuffer
  readonly kv: GPUBuffer
  /** [rows, heads] */
  readonly delta: GPUBuffer
  /** [rows, hidden] */
  readonly attention: GPUBuffer
  /** The residual stream between the sublayers, normalised. */
  readonly middleNormed: GPUBuffer
  /** [rows, intermediate] */
  readonly gate: GPUBuffer
  readonly up: GPUBuffer
  readonly inner: GPUBuffer
  readonly mlp: GPUBuffer
  readonly du: GPUBuffer
  readonly dq: GPUBuffer
  readonly dkv: GPUBuffer
  readonly dAttended: GPUBuffer
  readonly dInner: GPUBuffer
}

/** Word of the plan at which positions begin. */
export const POSITIONS = batchPositions(0, 0)

/**
 * Memory grows as layers × tokens × hidden; the rest is of one layer, and of `slice` tokens of the vocabulary.
 * @throws `out-of-memory` where one buffer is larger than the device allows.
 */
export function createActivations(
  gpu: GpuDevice,
  shape: RuntimeShape,
  { batch, length, slice }: BatchShape & { readonly slice: number },
): Activations & { destroy(): void } {
  const { config, d4, ff4, queryWidth, kvWidth, sublayers } = shape
  const rows = batch * length
  const owned: GPUBuffer[] = []
  const own = (buffer: GPUBuffer) => {
    owned.push(buffer)
    return buffer
  }
  const destroy = () => {
    for (const buffer of owned) gpu.memory.destroy(buffer)
  }
  const perRow = (label: string, values: number) => own(gpu.memory.storage(`tuning ${label}`, 4 * rows * values))
  const hidden = (label: string) => perRow(label, 4 * d4)
  const inner = (label: string) => perRow(label, 4 * ff4)
  const plan = new Uint32Array(POSITIONS.firstWord + rows)
  plan[0] = rows
  for (let row = 0; row < rows; row++) plan[POSITIONS.firstWord + row] = row % length
  try {
    const q = perRow('queries', queryWidth)
    const kv = perRow('keys, values', kvWidth)
    return {
      plan: own(gpu.memory.upload('tuning plan', plan)),
      rope: own(
        gpu.memory.upload('rope', ropeTable(config.rope, config.headDim, 0, length) as Float32Array<ArrayBuffer>),
      ),
      ids: perRow('ids', 1),
      targets: perRow('targets', 1),
      settings: own(gpu.memory.storage('tuning settings', 32)),
      losses: own(gpu.memory.storage('tuning losses', 16)),
      gates: perRow('gates', sublayers),
      inputs: Array.from({ length: config.layers + 1 }, (_, i) => hidden(`input ${i}`)),
      middles: Array.from({ length: config.layers }, (_, i) => hidden(`middle ${i}`)),
      attended: Array.from({ length: config.layers }, (_, i) => perRow(`attended ${i}`, queryWidth)),
      logSumExps: Array.from({ length: config.layers }, (_, i) => perRow(`log-sum-exp ${i}`, config.heads)),
      dx: hidden('residual gradient'),
      logits: perRow('logits', logitsStride({ vocab: config.vocabSize, slice })),
      sums: perRow('sums', 4),
      layer: {
        u: hidden('normalised'),
        // Only the norm of heads makes a difference between the two that its gradient needs.
        rawQuery: config.qkNorm ? perRow('raw queries', queryWidth) : q,
        rawKeysValues: config.qkNorm ? perRow('raw keys, values', kvWidth) : kv,
        q,
        kv,
        delta: perRow('delta', config.heads),
        attention: hidden('attention'),
        middleNormed: hidden('middle, normalised'),
        gate: inner('gate'),
        up: inner('up'),
        inner: inner('inner'),
        mlp: hidden('mlp'),
        du: hidden('normalised gradient'),
        dq: perRow('query gradient', queryWidth),
        dkv: perRow('key, value gradient', kvWidth),
        dAttended: perRow('attended gradient', queryWidth),
        dInner: inner('inner gradient'),
      },
      destroy,
    }
  } catch (error) {
    destroy()
    throw error
  }
}
