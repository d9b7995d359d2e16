import type { GpuDevice } from '../gpu/device.js'

/**
 * Invocations of a kernel that runs in one group. A GPU wants many. A CPU behind WebGPU runs a group on one
 * core, where more of them only cost: barriers, and workgroup memory, which SwiftShader compiles a store for each word of, to clear it.
 */
export function lanesOfLoneGroup({ isSoftware }: Pick<GpuDevice, 'isSoftware'>): 32 | 256 {
  return isSoftware ? 32 : 256
}

/**
 * Invocations that go along a row. On CPUs they are fewer, for the same reasons, and where there are many rows each has one of its own, without barriers: of 256 a norm takes
 * half the time of one with 8 on SwiftShader, and 0.7 of it on lavapipe. Along the row of a decode step, which `isAlone`, a norm adds in the order of a router that normalises:
 * what skips nothing computes the same as dense.
 */
export function lanesOfRow(
  { isSoftware }: Pick<GpuDevice, 'isSoftware'>,
  { isAlone }: { isAlone: boolean },
): 1 | 8 | 64 {
  if (!isSoftware) return 64
  return isAlone ? 8 : 1
}
