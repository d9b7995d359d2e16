import { SkipstoneError } from '../errors.js'
import type { GpuDevice } from './device.js'

/**
 * One way to run a kernel: `requires` lists optional features, `subgroupSize` is how many lanes all subgroups have to have, `suits` says whether this kind of device is what the
 * form was written for. Forms are listed best first; the last one is portable.
 */
export interface Form<T> {
  readonly name: string
  readonly requires: readonly GPUFeatureName[]
  readonly subgroupSize?: number
  readonly suits: (gpu: GpuDevice) => boolean
  readonly value: T
}

/** A chosen form, and what was tried before it. */
export interface Choice<T> {
  readonly form: Form<T>
  /** Names of the forms that gave wrong results or did not compile on this device. */
  readonly rejected: readonly string[]
}

export function canRun({ requires, subgroupSize }: Omit<Form<unknown>, 'value'>, gpu: GpuDevice): boolean {
  const fits = subgroupSize === undefined || subgroupSize === gpu.subgroupSize
  return fits && requires.every((feature) => gpu.features.has(feature))
}

/** Forms that this device can run: those that suit it first, each group in the listed order. */
export function candidates<T>(gpu: GpuDevice, forms: readonly Form<T>[]): Form<T>[] {
  const possible = forms.filter((form) => canRun(form, gpu))
  return [...possible.filter((f) => f.suits(gpu)), ...possible.filter((f) => !f.suits(gpu))]
}

/**
 * The first candidate whose self-test against the CPU reference passes: an answer to drivers that miscompile a shader
 * and write fluent nonsense.
 * @throws `internal` where none passes.
 */
export async function chooseForm<T>(
  gpu: GpuDevice,
  kernel: string,
  forms: readonly Form<T>[],
  selfTest: (value: T) => Promise<boolean>,
): Promise<Choice<T>> {
  const rejected: string[] = []
  let cause: unknown
  for (const form of candidates(gpu, forms)) {
    const passed = await selfTest(form.value).catch((error: unknown) => {
      cause = error
      return false
    })
    gpu.check()
    if (passed) return { form, rejected }
    rejected.push(form.name)
  }
  throw new SkipstoneError(
    'internal',
    `No form of the kernel ${kernel} gives right results on this device (${gpu.adapterName}); tried ${rejected.join(', ')}. Update the graphics driver, or try another browser.`,
    { cause },
  )
}
