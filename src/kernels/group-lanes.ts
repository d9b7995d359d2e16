import type { GpuDevice } from '../gpu/device.js'

/**
 * Invocations of a kernel that runs in one group, or in one to each sublayer. A GPU wants many. A CPU behind WebGPU runs a group on one
 * core, where more of them only cost: barriers, and workgroup memory, which SwiftShader compiles a store for each word of, to clear it.
 */
export function lanesOfLoneGroup({ isSoftware }: Pick<GpuDevice, 'isSoftware'>): 32 | 256 {
  return isSoftware ? 32 : 256
}

/**
 * Invocations of a group that adds up one row. On CPUs fewer, for the same reasons: of 256 rows of 576 values a norm with 64 takes five times as long
 * as with 8 on SwiftShader, and nearly twice on lavapipe.
 */
export function lanesOfRow({ isSoftware }: Pick<GpuDevice, 'isSoftware'>): 8 | 64 {
  return isSoftware ? 8 : 64
}
