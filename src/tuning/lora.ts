import type { GpuDevice } from '../gpu/device.js'
import type { Dispatch, ParamsArena } from '../gpu/dispatch.js'
import { productKernel, rowMajor, type StridedMatrix, transposed } from './kernels/product-strided.js'
import type { Parameters } from './parameters.js'

/** The linear layers that can be adapted, by the ends of their names. */
export type LoraTarget = `self_attn.${'q' | 'k' | 'v' | 'o'}_proj` | `mlp.${'gate' | 'up' | 'down'}_proj`

/** Low-rank updates W + alpha / rank · B A of frozen matrices (Hu et al. 2021). */
export interface TrainedLora {
  /** `model.layers.{i}.{target}.lora_A.weight` [rank, k] and `lora_B.weight` [n, rank]. */
  readonly parameters: Parameters
  readonly rank: number
  readonly alpha: number
  readonly targets: readonly LoraTarget[]
}

/** What an adapted layer reads, x [rows, k], and the width of what it makes. */
export interface Adapted {
  readonly x: StridedMatrix
  readonly k: number
  readonly n: number
}

/**
 * Adds the update of a layer to its output, y += scale · B (A x), and goes back through it: with t = A x and dt = scale · dy B,
 * dB += scale · dyᵀ t, dA += dtᵀ x, dx += dt A. Layers that are no targets have no dispatches.
 */
export async function loraProgram(gpu: GpuDevice, lora: TrainedLora, rows: number) {
  const { parameters, rank, alpha, targets } = lora
  const [store, add] = await Promise.all([productKernel(gpu, 'store'), productKernel(gpu, 'add')])
  const scale = alpha / rank
  const buffers = {
    down: gpu.memory.storage('lora down', 4 * rows * rank),
    dDown: gpu.memory.storage('lora down gradient', 4 * rows * rank),
  }
  const down = rowMajor(buffers.down, rank)
  const dDown = rowMajor(buffers.dDown, rank)

  const program = (arena: ParamsArena, plan: GPUBuffer) => {
    const matrices = (buffer: GPUBuffer, layer: number, target: LoraTarget, n: number, k: number) => {
      const name = `model.layers.${layer}.${target}`
      return {
        a: rowMajor(buffer, k, parameters.at(`${name}.lora_A.weight`, [rank, k])),
        b: rowMajor(buffer, rank, parameters.at(`${name}.lora_B.weight`, [n, rank])),
      }
    }
    const forward = (
      layer: number,
      target: LoraTarget,
      { x, y, k, n }: Adapted & { readonly y: StridedMatrix },
    ): Dispatch[] => {
      if (!targets.includes(target)) return []
      const { a, b } = matrices(parameters.values, layer, target, n, k)
      return [
        store(arena, plan, { a: x, b: transposed(a), c: down, m: rows, n: rank, k }),
        add(arena, plan, { a: down, b: transposed(b), c: y, m: rows, n, k: rank, alpha: scale }),
      ]
    }
    const backward = (
      layer: number,
      target: LoraTarget,
      { x, dy, dx, k, n }: Adapted & { readonly dy: StridedMatrix; readonly dx: StridedMatrix },
    ): Dispatch[] => {
      if (!targets.includes(target)) return []
      const { gradients } = parameters
      const { a, b } = matrices(parameters.values, layer, target, n, k)
      const d = gradients && matrices(gradients, layer, target, n, k)
      const through = [
        store(arena, plan, { a: dy, b, c: dDown, m: rows, n: rank, k: n, alpha: scale }),
        add(arena, plan, { a: dDown, b: a, c: dx, m: rows, n: k, k: rank }),
      ]
      if (!d) return through
      return [
        ...through,
        store(arena, plan, { a: x, b: transposed(a), c: down, m: rows, n: rank, k }),
        add(arena, plan, { a: transposed(dy), b: down, c: d.b, m: n, n: rank, k: rows, alpha: scale }),
        add(arena, plan, { a: transposed(dDown), b: x, c: d.a, m: rank, n: k, k: rows }),
      ]
    }
    return { forward, backward }
  }
  const destroy = () => {
    for (const buffer of Object.values(buffers)) gpu.memory.destroy(buffer)
  }
  return { program, destroy }
}

export type LoraProgram = Awaited<ReturnType<typeof loraProgram>>
