import { SkipstoneError } from '../errors.js'
import { GpuMemory } from './memory.js'
import { PipelineCache } from './pipelines.js'

export interface DeviceOptions {
  /** Where to get adapters; default `navigator.gpu`. */
  gpu?: GPU
  /** Raise buffer size limits to what the adapter offers (default), or keep the guaranteed ones (kernel tests). */
  raiseLimits?: boolean
}

/** A WebGPU device with its byte counter, its pipeline cache and its loss. */
export class GpuDevice {
  readonly memory: GpuMemory
  readonly pipelines: PipelineCache
  readonly features: ReadonlySet<string>
  /** Human-readable adapter name, such as "mesa llvmpipe". */
  readonly adapterName: string
  /** The adapter runs on the CPU: kernels take forms without barriers. */
  readonly isSoftware: boolean
  /** Lanes of every subgroup, where the adapter has but one size. */
  readonly subgroupSize: number | undefined
  /** Told when the device goes away by itself. */
  onLost: (() => void) | undefined
  #lost: GPUDeviceLostInfo | undefined
  #ended = false
  readonly #errors: string[] = []

  private constructor(
    readonly device: GPUDevice,
    info: GPUAdapterInfo,
    isFallback: boolean,
    /** What shaders may require; undefined where the browser does not tell. */
    readonly languageFeatures: ReadonlySet<string> | undefined,
  ) {
    this.memory = new GpuMemory(device)
    this.pipelines = new PipelineCache(device)
    this.features = device.features
    const name = [info.vendor, info.architecture, info.device, info.description].filter(Boolean).join(' ')
    // Firefox tells nothing about the adapter, except whether it is a fallback.
    this.adapterName = name || (isFallback ? 'fallback adapter, not named by the browser' : 'not named by the browser')
    this.isSoftware = isFallback || /swiftshader|llvmpipe|lavapipe|software|warp|basic render/i.test(name)
    const { subgroupMinSize: least, subgroupMaxSize: most } = info
    this.subgroupSize = least === most ? least : undefined
    device.lost.then((lost) => {
      this.#lost = lost
      if (!this.#ended) this.onLost?.()
    })
    device.addEventListener('uncapturederror', (event) => {
      this.#errors.push((event as GPUUncapturedErrorEvent).error.message)
    })
  }

  /**
   * @throws `no-webgpu` without `navigator.gpu`, `no-adapter` where it offers none.
   */
  static async open(options: DeviceOptions = {}): Promise<GpuDevice> {
    const gpu = options.gpu ?? (typeof navigator === 'undefined' ? undefined : navigator.gpu)
    if (!gpu) {
      throw new SkipstoneError(
        'no-webgpu',
        'This browser does not offer WebGPU. Use a current Chrome, Edge, Safari or Firefox over https or localhost; in Node, install the package "webgpu".',
      )
    }
    const adapter = await gpu.requestAdapter({ powerPreference: 'high-performance' })
    if (!adapter) {
      throw new SkipstoneError(
        'no-adapter',
        'WebGPU is here, but no graphics adapter is available. Turn on hardware acceleration, or update the graphics driver.',
      )
    }
    const requiredLimits =
      options.raiseLimits === false
        ? {}
        : {
            maxBufferSize: adapter.limits.maxBufferSize,
            maxStorageBufferBindingSize: adapter.limits.maxStorageBufferBindingSize,
          }
    const wanted: GPUFeatureName[] = ['timestamp-query', 'subgroups']
    const requiredFeatures = wanted.filter((name) => adapter.features.has(name))
    const device = await adapter.requestDevice({ requiredLimits, requiredFeatures }).catch((cause: unknown) => {
      throw new SkipstoneError(
        'no-adapter',
        'The graphics adapter gives no device: close other programs that use it, reload the page, or update the driver.',
        { cause },
      )
    })
    return new GpuDevice(device, adapter.info, isFallbackAdapter(adapter), gpu.wgslLanguageFeatures)
  }

  get isLost(): boolean {
    return this.#lost !== undefined
  }

  /** Messages of validation errors that nobody captured: each is a bug. */
  get uncapturedErrors(): readonly string[] {
    return this.#errors
  }

  lostError(): SkipstoneError {
    return new SkipstoneError(
      'device-lost',
      `The GPU device was lost${this.#lost?.message ? ` (${this.#lost.message})` : ''}. Call again: the model is loaded onto a new device and the conversation replayed.`,
    )
  }

  /** A failed operation may be the first sign of a loss: give its notice a moment to arrive. */
  async lostSoon(): Promise<void> {
    await Promise.race([this.device.lost, new Promise((resolve) => setTimeout(resolve, 50))])
  }

  /** Throws `device-lost` where that has happened. */
  check(): void {
    if (this.isLost) throw this.lostError()
  }

  destroy(): void {
    this.#ended = true
    this.device.destroy()
  }
}

/** Newer browsers say it in the adapter's info, older ones on the adapter itself. */
function isFallbackAdapter(adapter: GPUAdapter & { isFallbackAdapter?: boolean }): boolean {
  return adapter.info.isFallbackAdapter ?? adapter.isFallbackAdapter ?? false
}
