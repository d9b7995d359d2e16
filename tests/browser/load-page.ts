import { GpuDevice } from '../../src/gpu/device.js'
import { workDone } from '../../src/gpu/readback.js'
import { loadModel } from '../../src/index.js'
import { defaultStore } from '../../src/storage/default-store.js'

// The page of load.test.ts: a large model, loaded as an application does it, and the least that such a load could do.

const actions = {
  /** Milliseconds by phase of the progress, and bytes on the GPU. */
  async load({ url }: { url: string }): Promise<{ gpuBytes: number; ms: Record<string, number> }> {
    const ms: Record<string, number> = {}
    let phase = 'config'
    let since = performance.now()
    const enter = (next: string) => {
      const now = performance.now()
      ms[phase] = (ms[phase] ?? 0) + now - since
      phase = next
      since = now
    }
    const model = await loadModel(url, { onProgress: (p) => p.phase !== phase && enter(p.phase) })
    enter('ready')
    const { gpuBytes } = model
    model.dispose()
    return { gpuBytes, ms }
  },

  /** Milliseconds to read every chunk of a stored file and to write it to the GPU, and nothing else. */
  async bare({ url }: { url: string }): Promise<number> {
    const { store } = await defaultStore()
    const ledger = (await store.ledger(url))!
    const gpu = await GpuDevice.open()
    const buffers = ledger.chunks.map((_, index) => gpu.memory.storage(`chunk ${index}`, ledger.chunkBytes))
    await workDone(gpu)
    const start = performance.now()
    for (const [index, buffer] of buffers.entries()) {
      gpu.device.queue.writeBuffer(buffer, 0, (await store.get(url, index))!)
      if (index % 8 === 7) await workDone(gpu)
    }
    await workDone(gpu)
    const ms = performance.now() - start
    gpu.destroy()
    return ms
  },
}

export type Actions = typeof actions
Object.assign(globalThis, { actions })
