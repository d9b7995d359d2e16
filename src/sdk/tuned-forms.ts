import type { GpuDevice } from '../gpu/device.js'
import type { ModelConfig } from '../model/config.js'
import type { MatrixDtypes } from '../model/matrix-dtypes.js'
import { fastestForm } from '../runtime/fastest-form.js'
import type { Target } from '../runtime/target.js'
import { formMemory } from '../storage/form-memory.js'

/** The form that was the fastest on this device for models of this size. */
export function keptForm(gpu: GpuDevice, config: ModelConfig, dtypes: MatrixDtypes): Promise<string | undefined> {
  return formMemory.get(keyOf(gpu, config, dtypes))
}

/** Looks for the fastest form, once for a device and a size of models; later loads begin with it. @throws as what it runs: then nothing is kept. */
export async function lookForFastest(target: Target): Promise<void> {
  const { gpu, shape, dtypes, activations } = target
  const key = keyOf(gpu, shape.config, dtypes)
  // Products in 8 bits are asked for, not chosen.
  if (activations !== 'f32' || (await formMemory.get(key)) !== undefined) return
  await formMemory.set(key, await fastestForm(target))
}

function keyOf(
  { adapterName }: GpuDevice,
  { hiddenSize, intermediateSize }: ModelConfig,
  dtypes: MatrixDtypes,
): string {
  return [1, adapterName, hiddenSize, intermediateSize, dtypes.layers[0]?.gateUp].join('|')
}
