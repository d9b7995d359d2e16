import type { GpuDevice } from '../gpu/device.js'
import type { ModelWeights } from '../model/weights.js'
import { createScratch, type Scratch } from './scratch.js'
import type { RuntimeShape } from './shape.js'
import type { Target } from './target.js'

/** A model on one device, ready to run sequences. */
export class Engine {
  /** Dispatches and submits recorded since the start. */
  readonly counters = { dispatches: 0, submits: 0 }
  readonly scratch: Scratch
  /** What few policies keep on the device, for as long as the engine. */
  readonly extras: GPUBuffer[] = []

  constructor(
    readonly target: Target,
    readonly weights: ModelWeights,
  ) {
    this.scratch = createScratch(target.gpu, target.shape, target.capacity)
  }

  get gpu(): GpuDevice {
    return this.target.gpu
  }

  get shape(): RuntimeShape {
    return this.target.shape
  }

  /** Rows that one prefill chunk has at most. */
  get capacity(): number {
    return this.target.capacity
  }

  destroy(): void {
    for (const buffer of [...Object.values(this.scratch), ...this.extras]) this.gpu.memory.destroy(buffer as GPUBuffer)
    this.weights.destroy()
  }
}
