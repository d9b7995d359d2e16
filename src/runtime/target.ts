import type { Rows } from '../../shaders/snippets/plan.js'
import type { GpuDevice } from '../gpu/device.js'
import { chooseForm } from '../gpu/forms.js'
import { KERNEL_FORMS } from '../kernels/forms.js'
import { formsGiveRightResults } from '../kernels/self-test.js'
import type { ModelConfig } from '../model/config.js'
import type { MatrixDtypes } from '../model/matrix-dtypes.js'
import type { Activations, ActivationsChoice } from './activations.js'
import { type RuntimeShape, runtimeShape } from './shape.js'

/** Rows that one prefill chunk has at most. */
export const CHUNK_ROWS = 512

/** What a model's kernels are compiled for: known before any of its weights is there. */
export interface Target extends ActivationsChoice {
  readonly gpu: GpuDevice
  readonly shape: RuntimeShape
  /** Rows of a chunk: never more than the model's context. */
  readonly capacity: number
  readonly dtypes: MatrixDtypes
}

/** Chooses kernel forms by self-test; `rows` are those that prefill will attend with first. */
export async function chooseTarget(
  gpu: GpuDevice,
  config: ModelConfig,
  dtypes: MatrixDtypes,
  rows: Rows,
  activations: Activations = 'f32',
): Promise<Target> {
  const { heads, kvHeads, headDim } = config
  const choice = await chooseForm(gpu, 'matrix products', KERNEL_FORMS, (forms) =>
    formsGiveRightResults(gpu, forms, { heads, kvHeads, headDim, rows }),
  )
  const chosen: ActivationsChoice =
    activations === 'f32'
      ? { choice, activations }
      : await (await import('./activations.js')).chooseEightBits(gpu, dtypes, choice)
  const capacity = Math.min(CHUNK_ROWS, config.contextLength)
  return { gpu, shape: runtimeShape(config), capacity, dtypes, ...chosen }
}
