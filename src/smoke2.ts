import { createDawnGpu } from './node/dawn.js'
import { DirectorySource } from './node/fs-source.js'
import { openCheckpoint } from './model/checkpoint.js'
import { parseModelConfig } from './model/config.js'
import { loadWeights } from './model/weights.js'
import { readJson } from './storage/source.js'
import { GpuDevice } from './gpu/device.js'
import { Engine } from './runtime/engine.js'
import { ParamsArena, record } from './gpu/dispatch.js'
import { forced } from './skip/forced.js'
import { decodeProgram } from './runtime/decode-program.js'
import { prefillProgram } from './runtime/prefill-program.js'
import { createCache, createSequenceBuffers } from './runtime/sequence-buffers.js'

const { gpu: g } = await createDawnGpu((process.argv[2] ?? 'lavapipe') as never)
const gpu = await GpuDevice.open({ gpu: g, raiseLimits: false })
const orig = gpu.pipelines.compile.bind(gpu.pipelines)
gpu.pipelines.compile = async (l, c, b) => { const t = performance.now(); const r = await orig(l, c, b); const ms = performance.now() - t; if (ms > 50) console.error('create', l, ms.toFixed(0)); return r }
const src = new DirectorySource(`/work/shared/models/${process.argv[3] ?? 'stories260k'}`)
const config = parseModelConfig(await readJson(src, 'config.json'))
const weights = await loadWeights(gpu, config, await openCheckpoint(src))
let t = performance.now()
const engine = await Engine.create(gpu, config, weights)
console.error('engine (self-test)', (performance.now() - t).toFixed(0))
const policy = forced({ skip: 0.5 })
const buffers = createSequenceBuffers(gpu, engine.shape, policy, engine.capacity, false)
const cache = createCache(gpu, engine.shape, 256)
const arena = new ParamsArena(gpu)
const inputs = { policy, buffers, cache, capacity: engine.capacity, margins: false, masked: false }
for (const program of [decodeProgram, prefillProgram]) {
  const list = await program(engine, arena, inputs)
  const seen = new Map<string, number>()
  gpu.device.queue.writeBuffer(buffers.plan, 0, Uint32Array.of(1, 0, 0))
  for (const d of list) {
    t = performance.now()
    const e = gpu.device.createCommandEncoder(); const p = e.beginComputePass(); record(p, [d], { rows: program === decodeProgram ? 1 : 64, context: 64 }); p.end(); gpu.device.queue.submit([e.finish()])
    await gpu.device.queue.onSubmittedWorkDone()
    const ms = performance.now() - t
    if (ms > 30) console.error('first run', d.label, ms.toFixed(0))
    seen.set(d.label, ms)
  }
}
console.error(gpu.uncapturedErrors)
process.exit(0)
