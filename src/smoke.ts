import { createDawnGpu } from './node/dawn.js'
import { DirectorySource } from './node/fs-source.js'
import { openCheckpoint } from './model/checkpoint.js'
import { parseModelConfig } from './model/config.js'
import { loadWeights } from './model/weights.js'
import { readAdapter } from './model/adapter.js'
import { readJson } from './storage/source.js'
import { GpuDevice } from './gpu/device.js'
import { Engine } from './runtime/engine.js'
import { Sequence } from './runtime/sequence.js'
import { GREEDY } from './runtime/sampling.js'
import { dense } from './skip/dense.js'
import { skipgptPolicy } from './skip/skipgpt.js'
import { readRouters } from './skip/router-weights.js'
import { parseSafetensors, readF32 } from './formats/safetensors.js'
import { readFileSync } from 'node:fs'

const { gpu: g } = await createDawnGpu('lavapipe')
const gpu = await GpuDevice.open({ gpu: g, raiseLimits: false })
console.error(gpu.adapterName, gpu.isSoftware)
for (const name of ['stories260k', 'tinystories-656k']) {
  const dir = `/work/shared/models/${name}`
  const golden = JSON.parse(readFileSync(`/work/shared/golden/model_${name}.json`, 'utf8'))
  for (const mode of ['dense', 'skipgpt-mlp-router']) {
    const m = golden.modes[mode]
    const src = new DirectorySource(dir)
    const config = parseModelConfig(await readJson(src, 'config.json'))
    const weights = await loadWeights(gpu, config, await openCheckpoint(src), { adapter: m.lora ? await readAdapter(new DirectorySource(`${dir}/${m.lora}`)) : undefined })
    const engine = await Engine.create(gpu, config, weights)
    let policy = dense
    if (m.kind === 'skipgpt') {
      const f = parseSafetensors(readFileSync(m.routers ? `${dir}/${m.routers}` : `/work/shared/golden/${m.weights}`))
      const routers = readRouters([...f.entries.values()].map((e) => [e.name, { shape: e.shape, data: readF32(e, f.data(e.name)) }] as const), config.hiddenSize, config.layers)
      policy = skipgptPolicy({ routers, delta: m.delta ?? 0, input: m.mlp_router_input === 'post_attention' ? 'post-attention' : 'entry' })
    }
    const t0 = performance.now()
    for (const p of golden.prompts) {
      const c = golden.cases.find((c: any) => c.prompt === p.id && c.mode === mode)
      const seq = new Sequence(engine, policy, { contextLength: config.contextLength, margins: true })
      const pre = await seq.prefill(p.ids, { sampling: GREEDY, logits: true })
      const toks = [pre.records.at(-1)!.token]
      for (const r of await (await seq.decode(63))()) toks.push(r.token)
      const bad = toks.findIndex((t, i) => t !== c.greedy[i])
      let d = 0
      for (const [id, v] of c.top5) d = Math.max(d, Math.abs(pre.logits![id]! - v))
      console.error(name, mode, p.id, 'first diff', bad, 'gap', c.greedy_min_gap, 'logit diff', d)
      seq.destroy()
    }
    console.error('ms', (performance.now() - t0).toFixed(0), await 0)
    engine.destroy()
  }
}
console.error('bytes', gpu.memory.bytes, gpu.uncapturedErrors)
process.exit(0)
