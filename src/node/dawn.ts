import { SkipstoneError } from '../errors.js'
import { type AdapterName, driverEnvironment, findDriverManifest, requireDriverManifest } from './adapters.js'

/** WebGPU in Node. Keep this object for as long as anything made from `gpu` is in use. */
export interface DawnGpu {
  readonly gpu: GPU
  /** The driver that was pinned; `auto` where the machine's own choice was left alone. */
  readonly adapter: AdapterName
}

/**
 * Makes Dawn's `GPU` object for an adapter and puts the WebGPU constants (`GPUBufferUsage` and the like) in the global
 * scope. At least one adapter is there when this returns. `auto` takes what the machine offers, then lavapipe, then
 * SwiftShader.
 *
 * Two habits of Dawn bind every caller:
 * - When the `GPU` object is garbage-collected, Dawn's instance goes with it and its devices fail. Keep the result.
 * - With a live device Node neither ends by itself nor unloads cleanly: destroy devices and call `process.exit`.
 *
 * Dawn also prints warnings on standard output from native code; a program that must not calls `ownStdout` first.
 */
export async function createDawnGpu(adapter: AdapterName): Promise<DawnGpu> {
  const dawn = await importDawn()
  Object.assign(globalThis, dawn.globals)

  if (adapter !== 'auto') {
    const gpu = await createWithDriver(dawn, requireDriverManifest(adapter))
    if (gpu === undefined) throw new SkipstoneError('no-adapter', UNUSABLE[adapter])
    return { gpu, adapter }
  }
  const gpu = dawn.create(OPTIONS)
  if (await hasAdapter(gpu)) return { gpu, adapter }
  for (const software of ['lavapipe', 'swiftshader'] as const) {
    const manifest = findDriverManifest(software)
    const softwareGpu = manifest === undefined ? undefined : await createWithDriver(dawn, manifest)
    if (softwareGpu !== undefined) return { gpu: softwareGpu, adapter: software }
  }
  throw new SkipstoneError(
    'no-adapter',
    'Dawn found no GPU and no software driver: install a Vulkan driver, for example `apt-get install ' +
      'mesa-vulkan-drivers` (Mesa 23 or newer).',
  )
}

type Dawn = typeof import('webgpu')

/** Browsers round timestamps against spying pages, to 0.07 ms and more; here they are what the device measures. */
const OPTIONS = ['disable-dawn-features=timestamp_quantization']

const UNUSABLE = {
  lavapipe:
    'The lavapipe driver of this machine is too old for Dawn or cannot be loaded: install a newer ' +
    'mesa-vulkan-drivers (on Debian 12 from bookworm-backports).',
  swiftshader:
    'SwiftShader was found but cannot be loaded: install the Vulkan loader with `apt-get install libvulkan1`.',
}

async function importDawn(): Promise<Dawn> {
  try {
    return await import('webgpu')
  } catch (cause) {
    throw new SkipstoneError('no-webgpu', 'Node has no WebGPU of its own: run `npm install webgpu`.', { cause })
  }
}

/** A `GPU` that sees one Vulkan driver only, or undefined where that driver offers nothing that Dawn can use. */
async function createWithDriver(dawn: Dawn, manifest: string): Promise<GPU | undefined> {
  const variables = driverEnvironment(manifest)
  const before = { VK_DRIVER_FILES: process.env.VK_DRIVER_FILES, VK_ICD_FILENAMES: process.env.VK_ICD_FILENAMES }
  Object.assign(process.env, variables)
  try {
    const gpu = dawn.create([...OPTIONS, 'backend=vulkan'])
    // Asking for an adapter makes Dawn load the driver, so that the environment need not stay changed after it.
    return (await hasAdapter(gpu)) ? gpu : undefined
  } finally {
    for (const [name, value] of Object.entries(before)) {
      if (value === undefined) delete process.env[name]
      else process.env[name] = value
    }
  }
}

async function hasAdapter(gpu: GPU): Promise<boolean> {
  return (await gpu.requestAdapter()) !== null
}
