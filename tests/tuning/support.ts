import type { GpuDevice } from '../../src/gpu/device.js'
import { candidates } from '../../src/gpu/forms.js'
import { KERNEL_FORMS } from '../../src/kernels/forms.js'
import { openCheckpoint } from '../../src/model/checkpoint.js'
import { parseModelConfig } from '../../src/model/config.js'
import type { DtypeOption } from '../../src/model/matrix-dtypes.js'
import { loadWeights, type ModelWeights } from '../../src/model/weights.js'
import { runtimeShape } from '../../src/runtime/shape.js'
import type { Target } from '../../src/runtime/target.js'
import type { FileSource } from '../../src/storage/source.js'

/** Loads a model's weights for as long as `use` runs, with the device's first kernel form and without its self-test. */
export async function withWeights<T>(
  gpu: GpuDevice,
  source: FileSource,
  hub: unknown,
  dtype: DtypeOption,
  use: (target: Target, weights: ModelWeights) => Promise<T>,
): Promise<T> {
  const config = parseModelConfig(hub)
  const weights = await loadWeights(gpu, config, await openCheckpoint(source), { dtype })
  try {
    const choice = { form: candidates(gpu, KERNEL_FORMS)[0]!, rejected: [] }
    return await use(
      { gpu, shape: runtimeShape(config), capacity: 64, dtypes: weights.dtypes, choice, activations: 'f32' },
      weights,
    )
  } finally {
    weights.destroy()
  }
}
