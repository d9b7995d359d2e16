import type { GpuDevice } from '../gpu/device.js'

/** Storage buffers of so many words each, for as long as `use` runs. */
export async function withBuffers<K extends string, T>(
  { memory }: GpuDevice,
  words: Readonly<Record<K, number>>,
  use: (buffers: Readonly<Record<K, GPUBuffer>>) => Promise<T>,
): Promise<T> {
  const made: GPUBuffer[] = []
  try {
    const named = Object.entries<number>(words).map(([label, count]) => {
      const buffer = memory.storage(label, 4 * count)
      made.push(buffer)
      return [label, buffer] as const
    })
    return await use(Object.fromEntries(named) as Record<K, GPUBuffer>)
  } finally {
    for (const buffer of made) memory.destroy(buffer)
  }
}
