import { PRODUCT_TILE, type ProductEpilogue, productStridedShader } from '../../../shaders/product-strided.wgsl.js'
import type { GpuDevice } from '../../gpu/device.js'
import { bind, type Dispatch, type ParamsArena } from '../../gpu/dispatch.js'

/** A matrix in a buffer: element (i, j) is value `at + i · row + j · column`. */
export interface StridedMatrix {
  readonly buffer: GPUBuffer
  readonly at?: number
  readonly row: number
  readonly column: number
}

/** Rows of `width` values. */
export function rowMajor(buffer: GPUBuffer, width: number, at = 0): StridedMatrix {
  return { buffer, at, row: width, column: 1 }
}

export function transposed({ buffer, at, row, column }: StridedMatrix): StridedMatrix {
  return { buffer, at: at ?? 0, row: column, column: row }
}

export interface Product {
  /** [m, k] */
  readonly a: StridedMatrix
  /** [k, n] */
  readonly b: StridedMatrix
  /** [m, n] with neighbouring columns */
  readonly c: Omit<StridedMatrix, 'column'>
  readonly m: number
  readonly n: number
  readonly k: number
  /** Default 1. */
  readonly alpha?: number
  /** For relu: [n] from `at` on. */
  readonly bias?: { readonly buffer: GPUBuffer; readonly at: number }
}

/** Host side of shaders/product-strided.wgsl.ts. */
export async function productKernel(gpu: GpuDevice, epilogue: ProductEpilogue) {
  const kernel = await gpu.pipelines.compile('product', productStridedShader(epilogue), [
    'read',
    'read',
    'read',
    'write',
    epilogue === 'relu' ? 'read' : 'none',
    'uniform',
  ])
  return (arena: ParamsArena, plan: GPUBuffer, { a, b, c, m, n, k, alpha = 1, bias }: Product): Dispatch => {
    const numbers = [
      ...[m, n, k, { f32: alpha }],
      ...[a.at ?? 0, a.row, a.column],
      ...[b.at ?? 0, b.row, b.column],
      ...[c.at ?? 0, c.row, bias?.at ?? 0],
    ]
    return bind(arena, kernel, [plan, a.buffer, b.buffer, c.buffer, bias?.buffer, numbers], () => [
      Math.ceil(n / PRODUCT_TILE),
      Math.ceil(m / PRODUCT_TILE),
      1,
    ])
  }
}
