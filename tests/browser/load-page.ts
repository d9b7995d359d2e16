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
   * Milliseconds to read every chunk of the stored model and to write it to the GPU, and nothing else; with `compiling`, while the
   * model's pipelines compile as they do behind a load, and until those are done too.
   */
  async bare(o: { url: string; file: string; compiling: boolean }): Promise<{ moved: number; all: number }> {
    const { url, file } = o
    const { store } = await defaultStore()
    const ledger = (await store.ledger(`${url}${file}`))!
    const { config, checkpoint } = await openModelFiles(await openSource(url, {}))
    const gpu = await GpuDevice.open()
    const buffers = ledger.chunks.map((_, index) => gpu.memory.storage(`chunk ${index}`, ledger.chunkBytes))
    await workDone(gpu)
    const start = performance.now()
    const compile = () => chooseTarget(gpu, config, resolveDtypes('stored', config, checkpoint, undefined))
    const compiling = o.compiling && compile().then((target) => compileAhead(target, dense).first)
    let into: ArrayBuffer | undefined
    for (const [index, buffer] of buffers.entries()) {
      const chunk = (await store.get(ledger.url, index, into))!
      gpu.device.queue.writeBuffer(buffer, 0, chunk)
      into = chunk.buffer
      if (index % 2 === 1) await workDone(gpu)
    }
    await workDone(gpu)
    const moved = performance.now() - start
    await compiling
    const all = performance.now() - start
    gpu.destroy()
    return { moved, all }
  },
}

export type Actions = typeof actions
Object.assign(globalThis, { actions })
