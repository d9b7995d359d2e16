// The page of packed.test.ts.
import { GpuDevice } from '../../src/gpu/device.js'
import { candidates } from '../../src/gpu/forms.js'
import { KERNEL_FORMS } from '../../src/kernels/forms.js'
import { packedForm, packedGivesRightResults } from '../../src/kernels/packed-forms.js'
import { LANGUAGE_FEATURE } from '../../src/runtime/activations.js'
import { distinctForms } from '../fixtures/distinct-forms.js'

/** The forms that the device can run, and whether they pass; undefined where the language lacks what they need. */
async function selfTest(): Promise<Record<string, boolean> | undefined> {
  const gpu = await GpuDevice.open()
  try {
    if (!gpu.languageFeatures?.has(LANGUAGE_FEATURE)) return undefined
    const passed: Record<string, boolean> = {}
    for (const form of distinctForms(candidates(gpu, KERNEL_FORMS), 'matvec').map(packedForm)) {
      passed[form.name] = await packedGivesRightResults(gpu, form.value)
    }
    return passed
  } finally {
    gpu.destroy()
  }
}

Object.assign(globalThis, { skipstoneHost: { selfTest } })
