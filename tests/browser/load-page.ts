import { GpuDevice } from '../../src/gpu/device.js'
import { workDone } from '../../src/gpu/readback.js'
import { loadModel } from '../../src/index.js'
import { resolveDtypes } from '../../src/model/matrix-dtypes.js'
import { compileAhead } from '../../src/runtime/compile-ahead.js'
import { chooseTarget } from '../../src/runtime/target.js'
import { openModelFiles } from '../../src/sdk/model-files.js'
import { openSource } from '../../src/sdk/sources.js'
import { dense } from '../../src/skip/dense.js'
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

  /**
   * Milliseconds that the least takes: reading every chunk of the stored model, writing as many bytes to buffers that are there, both in
   * turns into new buffers, as a load has to, and the same while the model's pipelines compile as they do behind a load, until those are done too.
   */
  async bare(o: { url: string; file: string }): Promise<Record<'read' | 'upload' | 'both' | 'compiling', number>> {
    const { url, file } = o
    const { store } = await defaultStore()
    const ledger = (await store.ledger(`${url}${file}`))!
    const { config, checkpoint } = await openModelFiles(await openSource(url, {}))
    const gpu = await GpuDevice.open()
    const makeBuffers = () => ledger.chunks.map((_, index) => gpu.memory.storage(`chunk ${index}`, ledger.chunkBytes))
    let chunk = new Uint8Array(ledger.chunkBytes)
    const pass = async (reads: boolean, buffers: readonly GPUBuffer[] | undefined) => {
      for (const index of ledger.chunks.keys()) {
        if (reads) chunk = (await store.get(ledger.url, index, chunk.buffer))!
        if (buffers) gpu.device.queue.writeBuffer(buffers[index] as GPUBuffer, 0, chunk)
        if (buffers && index % 2 === 1) await workDone(gpu)
      }
      await workDone(gpu)
    }
    const timed = async (work: () => Promise<unknown>) => {
      const start = performance.now()
      await work()
      return performance.now() - start
    }
    const read = await timed(() => pass(true, undefined))
    let buffers: GPUBuffer[] = []
    const both = await timed(() => {
      buffers = makeBuffers()
      return pass(true, buffers)
    })
    const upload = await timed(() => pass(false, buffers))
    for (const buffer of buffers) gpu.memory.destroy(buffer)
    await workDone(gpu)
    const compiling = await timed(async () => {
      const target = chooseTarget(gpu, config, resolveDtypes('stored', config, checkpoint, undefined), 'all')
      const compiled = target.then((t) => compileAhead(t, dense).first)
      await pass(true, makeBuffers())
      await compiled
    })
    gpu.destroy()
    return { read, upload, both, compiling }
  },
}

export type Actions = typeof actions
Object.assign(globalThis, { actions })
