import type { GpuDevice } from '../gpu/device.js'

/**
 * Invocations of a kernel that runs in one group, or in one to each sublayer. A GPU wants many. A CPU behind WebGPU runs a group on one
 * core, where more of them only cost: barriers, and workgroup memory, which SwiftShader compiles a store for each word of, to clear it.
 */
export function lanesOfLoneGroup({ isSoftware }: Pick<GpuDevice, 'isSoftware'>): 32 | 256 {
  return isSoftware ? 32 : 256
}
