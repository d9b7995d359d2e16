import type { GemmForm } from '../../shaders/gemm.wgsl.js'
import type { QkvForms } from '../../shaders/qkv-decode.wgsl.js'
import type { MatvecForm } from '../../shaders/snippets/matvec.js'
import type { Splits } from '../../shaders/snippets/splits.js'
import type { WeightDtype } from '../../shaders/snippets/weights.js'
import type { Form } from '../gpu/forms.js'

/** A matrix of `rows` × `k`, of which a product takes rows from so many parts at once (gate and up: 2). */
export interface Matrix {
  rows: number
  k: number
  dtype: WeightDtype
  parts: 1 | 2
}

export interface AttentionForm extends Pick<Splits, 'tile' | 'least'> {
  /** In decode, heads that share keys and values are handled together, at most so many. */
  headsTogether: number
  unrolled: boolean
}

/** How kernels are laid out on a device. */
export interface KernelForms {
  /** A product with one vector. */
  matvec: (matrix: Matrix) => MatvecForm
  qkv: QkvForms
  attention: AttentionForm
  /** Largest tiles first. */
  gemms: readonly GemmForm[]
}

const TILES: readonly GemmForm[] = [
  { rows: 8, columns: 4, lanesX: 16, lanesY: 8, stagedK4: 4 },
  { rows: 4, columns: 2, lanesX: 16, lanesY: 8, stagedK4: 8 },
  { rows: 2, columns: 2, lanesX: 16, lanesY: 8, stagedK4: 8 },
]
const SERIAL_ROWS: MatvecForm = { workgroup: 32, lanes: 1, rowsPerSlot: 2, adds: 'memory' }
const SUBGROUP_ROWS: MatvecForm = { workgroup: 64, lanes: 64, rowsPerSlot: 2, adds: 'subgroups' }
const HEAD_ROWS: MatvecForm = { workgroup: 256, lanes: 16, rowsPerSlot: 1, adds: 'memory' }
const SHARED_ROWS: MatvecForm = { workgroup: 64, lanes: 16, rowsPerSlot: 2, adds: 'memory' }

const GPU_ATTENTION: AttentionForm = { tile: 256, least: 512, headsTogether: 1, unrolled: true }

/** Rows that an invocation takes of a large matrix: the fewer bytes a load brings, the more of them have to be on their way. */
const ROWS_OF_LARGE: Readonly<Partial<Record<WeightDtype, number>>> = { q8: 4, q4: 8 }

/** Long rows take more lanes. Measured on an H200. */
function subgroupRows({ rows, k, dtype, parts }: Matrix): MatvecForm {
  const lanes = k > rows ? 128 : 64
  const rowsPerSlot = Math.max(1, (rows >= 2048 ? (ROWS_OF_LARGE[dtype] ?? 2) : 2) / parts)
  return { workgroup: lanes, lanes, rowsPerSlot, adds: 'subgroups' }
}

/**
 * The portable forms, best first. Both use nothing optional; they differ in what they expect of memory. Shapes were
 * measured on lavapipe (see BENCH.md); the GPU form follows what public kernels agree on and waits for its tuning.
 */
export const KERNEL_FORMS: readonly Form<KernelForms>[] = [
  {
    name: 'serial-rows',
    requires: [],
    suits: (gpu) => gpu.isSoftware,
    value: {
      matvec: () => SERIAL_ROWS,
      qkv: { heads: { workgroup: 32, lanes: 1, rowsPerSlot: 1, adds: 'memory' }, pairs: SERIAL_ROWS },
      attention: { tile: 64, least: 64, headsTogether: 4, unrolled: false },
      gemms: [{ rows: 8, columns: 4, lanesX: 16, lanesY: 1, stagedK4: 0 }],
    },
  },
  {
    name: 'subgroup-rows',
    requires: ['subgroups'],
    suits: (gpu) => !gpu.isSoftware,
    value: {
      matvec: subgroupRows,
      qkv: { heads: HEAD_ROWS, pairs: SUBGROUP_ROWS },
      attention: GPU_ATTENTION,
      gemms: TILES,
    },
  },
  {
    name: 'shared-rows',
    requires: [],
    suits: (gpu) => !gpu.isSoftware,
    value: {
      matvec: () => SHARED_ROWS,
      qkv: { heads: HEAD_ROWS, pairs: SHARED_ROWS },
      attention: GPU_ATTENTION,
      gemms: TILES,
    },
  },
]
