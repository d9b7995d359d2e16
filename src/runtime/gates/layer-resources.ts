import { VectorArena } from '../../model/vector-arena.js'
import type { LayerGates } from '../../skip/gates.js'
import type { Engine } from '../engine.js'
import { paddedRows } from './gate-resources.js'

/** An adapter on the GPU. Where biases begin is in units of four values. */
interface AdapterBuffers {
  /** [2 units, 4 d4] */
  readonly gateUp: GPUBuffer
  readonly gateUpBias: number
  /** [d, 4 ⌈units / 4⌉] */
  readonly down: GPUBuffer
  readonly downBias: number
}

/** The gates of layers and their adapters on the GPU. */
export interface LayerResources {
  /** Norms and weights of heads, and the biases of adapters. */
  readonly vectors: GPUBuffer
  /** Where a layer's head begins, in values; undefined where it has none. */
  readonly heads: readonly (number | undefined)[]
  readonly adapters: readonly (AdapterBuffers | undefined)[]
  /** f32 [capacity]: the gates of a chunk's rows. They live within a layer. */
  readonly gates: GPUBuffer
  /** f32 [capacity, 4 ⌈units / 4⌉]: what the adapter has inside. */
  readonly inner: GPUBuffer
}

const kept = new WeakMap<Engine, Map<LayerGates, LayerResources>>()

/** The gates on the engine's device: uploaded once, and there for as long as the engine. */
export function layerResources(engine: Engine, its: LayerGates): LayerResources {
  const all = kept.get(engine) ?? new Map<LayerGates, LayerResources>()
  kept.set(engine, all)
  const known = all.get(its)
  if (known) return known
  const { gpu, shape, capacity } = engine
  const { layers = [], units = 0, dtype } = its.adapters ?? {}
  const own = (buffer: GPUBuffer) => {
    engine.extras.push(buffer)
    return buffer
  }
  const matrix = (weight: Float32Array, rows: number, k4: number) => {
    const words = paddedRows(weight, rows, k4)
    return own(gpu.memory.upload('adapter', dtype === 'bf16' ? upperHalves(words) : words))
  }
  const units4 = Math.ceil(units / 4)
  const vectors = new VectorArena()
  const made = {
    heads: its.heads.map((head) => head && 4 * vectors.add([head.norm, head.weight])),
    adapters: layers.map(
      (adapter) =>
        adapter && {
          gateUp: matrix(adapter.gateUp.weight, 2 * units, shape.d4),
          gateUpBias: vectors.add([adapter.gateUp.bias]),
          down: matrix(adapter.down.weight, shape.config.hiddenSize, units4),
          downBias: vectors.add([adapter.down.bias]),
        },
    ),
    gates: own(gpu.memory.storage('layer gates', 4 * capacity)),
    inner: own(gpu.memory.storage('adapter inner', 16 * capacity * units4)),
  }
  const resources = { ...made, vectors: own(gpu.memory.upload('layer gates', vectors.concatenate())) }
  all.set(its, resources)
  return resources
}

/** Values that bf16 holds, as it holds them. */
function upperHalves(values: Float32Array<ArrayBuffer>): Uint16Array<ArrayBuffer> {
  const words = new Uint32Array(values.buffer)
  return Uint16Array.from(words, (word) => word >>> 16)
}
