import type { GemmForm } from '../../shaders/gemm.wgsl.js'
import type { QkvForms } from '../../shaders/qkv-decode.wgsl.js'
import type { MatvecForm } from '../../shaders/snippets/matvec.js'
import type { Form } from '../gpu/forms.js'

/** How the matrix kernels are laid out on a device. */
export interface KernelForms {
  /** Products whose rows are spread freely over groups. */
  matvec: MatvecForm
  qkv: QkvForms
  /** Decode attention in which heads that share keys and values are handled together, at most so many. */
  headsTogether: number
  /** Largest tiles first. */
  gemms: readonly GemmForm[]
}

const TILES: readonly GemmForm[] = [
  { rows: 8, columns: 8, lanesX: 16, lanesY: 16, stagedK4: 2 },
  { rows: 4, columns: 4, lanesX: 16, lanesY: 16, stagedK4: 4 },
  { rows: 4, columns: 2, lanesX: 16, lanesY: 8, stagedK4: 8 },
  { rows: 2, columns: 2, lanesX: 16, lanesY: 8, stagedK4: 8 },
]
const SERIAL_ROWS: MatvecForm = { workgroup: 32, lanes: 1, rowsPerSlot: 2, adds: 'memory' }
const SUBGROUP_ROWS: MatvecForm = { workgroup: 32, lanes: 32, rowsPerSlot: 2, adds: 'subgroups' }
const HEAD_ROWS: MatvecForm = { workgroup: 256, lanes: 16, rowsPerSlot: 1, adds: 'memory' }
const SHARED_ROWS: MatvecForm = { workgroup: 64, lanes: 16, rowsPerSlot: 2, adds: 'memory' }

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
      matvec: SERIAL_ROWS,
      qkv: { heads: { workgroup: 32, lanes: 1, rowsPerSlot: 1, adds: 'memory' }, pairs: SERIAL_ROWS },
      headsTogether: 4,
      gemms: [{ rows: 8, columns: 4, lanesX: 16, lanesY: 1, stagedK4: 0 }],
    },
  },
  {
    name: 'subgroup-rows',
    requires: ['subgroups'],
    suits: (gpu) => !gpu.isSoftware,
    value: {
      matvec: SUBGROUP_ROWS,
      qkv: { heads: HEAD_ROWS, pairs: SUBGROUP_ROWS },
      headsTogether: 1,
      gemms: TILES,
    },
  },
  {
    name: 'shared-rows',
    requires: [],
    suits: (gpu) => !gpu.isSoftware,
    value: {
      matvec: SHARED_ROWS,
      qkv: { heads: HEAD_ROWS, pairs: SHARED_ROWS },
      headsTogether: 1,
      gemms: TILES,
    },
  },
]
