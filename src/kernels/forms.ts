import type { GemmForm } from '../../shaders/gemm.wgsl.js'
import type { MatvecForm } from '../../shaders/snippets/matvec.js'
import type { Form } from '../gpu/forms.js'

/** How the matrix kernels are laid out on a device. */
export interface KernelForms {
  /** Products whose rows are spread freely over groups. */
  matvec: MatvecForm
  /** The QKV product, where one group owns a head. */
  heads: MatvecForm
  gemm: GemmForm
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
      matvec: { workgroup: 32, lanes: 1, rowsPerSlot: 2 },
      heads: { workgroup: 32, lanes: 1, rowsPerSlot: 1 },
      gemm: { rows: 8, columns: 4, lanesX: 16, lanesY: 1, staged: false },
    },
  },
  {
    name: 'shared-rows',
    requires: [],
    suits: (gpu) => !gpu.isSoftware,
    value: {
      matvec: { workgroup: 64, lanes: 16, rowsPerSlot: 2 },
      heads: { workgroup: 256, lanes: 16, rowsPerSlot: 1 },
      gemm: { rows: 4, columns: 4, lanesX: 8, lanesY: 8, staged: true },
    },
  },
]
