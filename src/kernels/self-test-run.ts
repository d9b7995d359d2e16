import type { GpuDevice } from '../gpu/device.js'
import { type Dispatch, ParamsArena, record } from '../gpu/dispatch.js'
import { readBuffer } from '../gpu/readback.js'

export interface SelfTestRun {
  readonly arena: ParamsArena
  upload(data: Float32Array<ArrayBuffer> | Uint32Array<ArrayBuffer>): GPUBuffer
  /** Runs a dispatch and reads the first `values` of what it wrote. */
  run(dispatch: Dispatch, output: GPUBuffer, values: number): Promise<Float32Array>
}

/** Lets a self-test of so many rows use the device, and frees what it took. */
export async function onDevice<T>(gpu: GpuDevice, rows: number, test: (run: SelfTestRun) => Promise<T>): Promise<T> {
  const arena = new ParamsArena(gpu)
  const buffers: GPUBuffer[] = []
  try {
    return await test({
      arena,
      upload: (data) => {
        const buffer = gpu.memory.upload('self-test', data)
        buffers.push(buffer)
        return buffer
      },
      run: async (dispatch, output, values) => {
        const encoder = gpu.device.createCommandEncoder()
        const pass = encoder.beginComputePass()
        record(pass, [dispatch], { rows, context: rows })
        pass.end()
        gpu.device.queue.submit([encoder.finish()])
        return new Float32Array((await readBuffer(gpu, output, 4 * values)).buffer)
      },
    })
  } finally {
    arena.destroy()
    for (const buffer of buffers) gpu.memory.destroy(buffer)
  }
}
