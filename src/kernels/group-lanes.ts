import type { GpuDevice } from '../gpu/device.js'

/**
 * Invocations of a kernel that runs in one group. A GPU wants many. A CPU behind WebGPU runs a group on one
 * core, where more of them only cost: barriers, and workgroup memory, which SwiftShader compiles a store for each word of, to clear it.
 */
export function lanesOfLoneGroup({ isSoftware }: Pick<GpuDevice, 'isSoftware'>): 32 | 256 {
  return isSoftware ? 32 : 256
}

/** Invocations that add up the row of a decode step; on CPUs fewer, for the same reasons. A norm adds in the order of a router that normalises: what skips nothing computes the same as dense. */
export function lanesOfRow({ isSoftware }: Pick<GpuDevice, 'isSoftware'>): 8 | 64 {
  return isSoftware ? 8 : 64
}

/**
 * Invocations along a row where there are many. On CPUs each has a row of its own, without barriers: of 256 rows a norm takes half the time of one with 8 on
 * SwiftShader, and 0.7 of it on lavapipe.
 */
export function lanesOfRows({ isSoftware }: Pick<GpuDevice, 'isSoftware'>): 1 | 64 {
  return isSoftware ? 1 : 64
}
