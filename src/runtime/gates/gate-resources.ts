import { VectorArena } from '../../model/vector-arena.js'
import type { Gates } from '../../skip/gates.js'
import type { Engine } from '../engine.js'

/** The gates of a kind of sublayer on the GPU. */
export interface GateResources {
  /** Of every layer, f32 [outputs, 4 d4]; undefined where it has none. */
  readonly weights: readonly (GPUBuffer | undefined)[]
  readonly biases: GPUBuffer
  /** Where a layer's biases begin, in units of four values. */
  readonly firstBias: readonly number[]
  /** What the gates of a chunk's rows are, f32 [capacity, gateStride]. */
  readonly gates: GPUBuffer
}

/** Of every engine: its gates by their weights, and what sublayers leave for them, f32 [capacity, 4 d4]. */
const kept = new WeakMap<Engine, { readonly gates: Map<Gates['layers'], GateResources>; readonly branch: GPUBuffer }>()

/** Words between rows of gates. */
export function gateStride(outputs: number): number {
  return outputs === 1 ? 1 : 4 * Math.ceil(outputs / 4)
}

/** The gates on the engine's device: uploaded once, and there for as long as the engine. */
export function gateResources(engine: Engine, { layers, outputs }: Gates): GateResources {
  const { gates } = keptOf(engine)
  const known = gates.get(layers)
  if (known) return known
  const { gpu, shape, capacity } = engine
  const own = (buffer: GPUBuffer) => {
    engine.extras.push(buffer)
    return buffer
  }
  const biases = new VectorArena()
  const firstBias = layers.map((gate) => (gate ? biases.add([gate.bias]) : 0))
  const made = {
    weights: layers.map((gate) => gate && own(gpu.memory.upload('gate', paddedRows(gate.weight, outputs, shape.d4)))),
    biases: own(gpu.memory.upload('gate biases', biases.concatenate())),
    firstBias,
    gates: own(gpu.memory.storage('gates', 4 * capacity * gateStride(outputs))),
  }
  gates.set(layers, made)
  return made
}

/** Frees what these gates hold on the engine's device. No sequence may use them any more. */
export function forgetGates(engine: Engine, { layers }: Gates): void {
  const gates = kept.get(engine)?.gates
  const its = gates?.get(layers)
  if (!gates || !its) return
  gates.delete(layers)
  for (const buffer of [...its.weights, its.biases, its.gates]) {
    if (!buffer) continue
    engine.extras.splice(engine.extras.indexOf(buffer), 1)
    engine.gpu.memory.destroy(buffer)
  }
}

/** Where sublayers leave what their gates scale. It lives only within a sublayer. */
export function branchOf(engine: Engine): GPUBuffer {
  return keptOf(engine).branch
}

function keptOf(engine: Engine) {
  const known = kept.get(engine)
  if (known) return known
  const branch = engine.gpu.memory.storage('branch', 16 * engine.capacity * engine.shape.d4)
  engine.extras.push(branch)
  const made = { gates: new Map<Gates['layers'], GateResources>(), branch }
  kept.set(engine, made)
  return made
}

/** [rows, d], as products read it: every row begins at a whole vec4. */
export function paddedRows(matrix: Float32Array, rows: number, d4: number): Float32Array<ArrayBuffer> {
  const d = matrix.length / rows
  const padded = new Float32Array(rows * 4 * d4)
  for (let row = 0; row < rows; row++) padded.set(matrix.subarray(row * d, (row + 1) * d), row * 4 * d4)
  return padded
}
