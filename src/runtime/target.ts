import type { GpuDevice } from '../gpu/device.js'
import { type Choice, chooseForm } from '../gpu/forms.js'
import { KERNEL_FORMS, type KernelForms } from '../kernels/forms.js'
import { formsGiveRightResults } from '../kernels/self-test.js'
import type { ModelConfig } from '../model/config.js'
import type { MatrixDtypes } from '../model/matrix-dtypes.js'
import { type RuntimeShape, runtimeShape } from './shape.js'

/** Rows that one prefill chunk has at most. */
export const CHUNK_ROWS = 512

/** What a model's kernels are compiled for: known before any of its weights is there. */
export interface Target {
  readonly gpu: GpuDevice
  readonly shape: RuntimeShape
  /** Rows of a chunk: never more than the model's context. */
  readonly capacity: number
  readonly dtypes: MatrixDtypes
  readonly choice: Choice<KernelForms>
}

/** Chooses kernel forms by self-test. */
export async function chooseTarget(gpu: GpuDevice, config: ModelConfig, dtypes: MatrixDtypes): Promise<Target> {
  const shape = runtimeShape(config)
  const choice = await chooseForm(gpu, 'matrix products', KERNEL_FORMS, (forms) => formsGiveRightResults(gpu, forms))
  const capacity = Math.min(CHUNK_ROWS, config.contextLength)
  return { gpu, shape, capacity, dtypes, choice }
}
