import type { GpuDevice } from '../gpu/device.js'
import { type Dispatch, ParamsArena, record } from '../gpu/dispatch.js'
import type { GpuProfile } from '../gpu/profile.js'
import type { KernelForms } from '../kernels/forms.js'
import { gemmKernel } from '../kernels/gemm.js'
import { readSumKernel } from '../kernels/read-sum.js'

/** What a device reaches at most, in kernels that do nothing else. */
export interface DeviceLimits {
  /** Bytes a second of the best reading kernel. */
  readonly bytesPerSecond: number
  /** Floating-point operations a second of the best matrix product in f32. */
  readonly flops: number
}

const ROUNDS = 3
const ROWS = 512

export async function measureLimits(
  gpu: GpuDevice,
  timer: GpuProfile,
  { gemms }: Pick<KernelForms, 'gemms'>,
): Promise<DeviceLimits> {
  const arena = new ParamsArena(gpu)
  const buffers: GPUBuffer[] = []
  const storage = (bytes: number) => {
    const buffer = gpu.memory.storage('limits', bytes)
    buffers.push(buffer)
    return buffer
  }
  try {
    const bytes = Math.min(gpu.isSoftware ? 64 << 20 : 256 << 20, gpu.device.limits.maxStorageBufferBindingSize)
    const source = storage(bytes)
    let bytesPerSecond = 0
    for (const perInvocation of [4, 16]) {
      const groups = bytes / 16 / 256 / perInvocation
      const read = await readSumKernel(gpu, { groups, perInvocation })
      const dispatch = read(arena, { source, sums: storage(4 * groups * 256) })
      bytesPerSecond = Math.max(bytesPerSecond, bytes / (await seconds(gpu, timer, dispatch)))
    }
    const width = gpu.isSoftware ? 1024 : 2048
    const rows = Array.from({ length: ROWS }, (_, row) => row)
    const plan = gpu.memory.upload('limits', Uint32Array.of(ROWS, 0, 0, 0, ROWS, ...rows))
    buffers.push(plan)
    const [x, weights, y, vectors] = [
      storage(4 * ROWS * width),
      storage(4 * width * width),
      storage(4 * ROWS * width),
      storage(16),
    ]
    let flops = 0
    for (const form of gemms) {
      const kernel = await gemmKernel(gpu, {
        k4: width / 4,
        n: width,
        outputStride: width,
        dtype: 'f32',
        bias: false,
        rows: 'all',
        gather: false,
        epilogue: 'store',
        forms: [form],
      })
      const dispatch = kernel(arena, { plan, x, weights, vectors, y }, { slot: 0, firstRow: 0, bias: 0, z: 0 })
      flops = Math.max(flops, (2 * ROWS * width * width) / (await seconds(gpu, timer, dispatch)))
    }
    return { bytesPerSecond, flops }
  } finally {
    arena.destroy()
    for (const buffer of buffers) gpu.memory.destroy(buffer)
  }
}

/** Of the fastest of some rounds, by the device's timestamps; the first round compiles and warms up. */
async function seconds(gpu: GpuDevice, timer: GpuProfile, dispatch: Dispatch): Promise<number> {
  const times = gpu.isSoftware ? 1 : 32
  for (let round = 0; round <= ROUNDS; round++) {
    const encoder = gpu.device.createCommandEncoder()
    const timestampWrites = timer.next('limit')
    const pass = encoder.beginComputePass(timestampWrites && { timestampWrites })
    for (let i = 0; i < times; i++) record(pass, [dispatch], { rows: ROWS, context: ROWS })
    pass.end()
    gpu.device.queue.submit([encoder.finish()])
  }
  const rounds = (await timer.read()).slice(1)
  return Math.min(...rounds.map(({ ms }) => ms)) / 1000 / times
}
