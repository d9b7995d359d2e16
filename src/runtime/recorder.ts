import { type Dispatch, type Extent, record } from '../gpu/dispatch.js'
import type { GpuProfile } from '../gpu/profile.js'
import type { Engine } from './engine.js'

/** Records dispatches and copies in order, and submits them at once or in several submits: the GPU sees no difference. */
export class Recorder {
  #encoder: GPUCommandEncoder | undefined
  #pass: GPUComputePassEncoder | undefined

  /** With a `timer`, every dispatch is timed. */
  constructor(
    private readonly engine: Engine,
    private readonly timer?: GpuProfile,
  ) {}

  add(dispatches: readonly Dispatch[], extent: Extent): void {
    if (dispatches.length === 0) return
    const { counters } = this.engine
    const { timer } = this
    if (timer) {
      for (const dispatch of dispatches) {
        const timestampWrites = timer.next(dispatch.label)
        const pass = this.encoder().beginComputePass(timestampWrites && { timestampWrites })
        record(pass, [dispatch], extent)
        pass.end()
      }
      counters.dispatches += dispatches.length
      return
    }
    this.#pass ??= this.#open().beginComputePass()
    counters.dispatches += record(this.#pass, dispatches, extent)
  }

  /** For copies behind what was added. */
  encoder(): GPUCommandEncoder {
    this.#pass?.end()
    this.#pass = undefined
    return this.#open()
  }

  /** Gives the GPU what was recorded since the last submit. */
  submit(): void {
    if (!this.#encoder) return
    this.engine.gpu.device.queue.submit([this.encoder().finish()])
    this.engine.counters.submits++
    this.#encoder = undefined
  }

  #open(): GPUCommandEncoder {
    this.#encoder ??= this.engine.gpu.device.createCommandEncoder()
    return this.#encoder
  }
}
