import { planSlot, planWords } from '../shaders/snippets/plan.js'
import { GpuDevice } from '../src/gpu/device.js'
import { type Dispatch, type Extent, type Grid, ParamsArena, record } from '../src/gpu/dispatch.js'
import { workDone } from '../src/gpu/readback.js'
import { gateUpDecodeKernel } from '../src/kernels/gate-up-decode.js'
import { gemmKernel } from '../src/kernels/gemm.js'
import { rmsNormKernel } from '../src/kernels/rms-norm.js'
import { loadWeights } from '../src/model/weights.js'
import type { AdapterName } from '../src/node/adapters.js'
import { createDawnGpu } from '../src/node/dawn.js'
import { writeStdout } from '../src/node/own-stdout.mjs'
import { Engine } from '../src/runtime/engine.js'
import { chooseTarget } from '../src/runtime/target.js'
import { median } from '../src/study/median.js'
import { syntheticCheckpoint, syntheticConfig } from '../src/study/synthetic.js'

/*
 * Ways to obey decisions, kernels alone, in turns; see BENCH.md, "Ways to obey": node tools/run.mjs tools/obeying.ts ADAPTER [shape] [rounds]
 *
 *   all         computes every row: what a dense fallback would take
 *   predicated  groups are dispatched for every row, and those behind the last one that runs return: what Skipstone does
 *   indirect    the same kernel, dispatched for those that run from a buffer (which some kernel would have to fill: not counted; Dawn checks it on the device: counted)
 *   gathered    a product reads the rows that run from where they are, through the list: what Q does
 *   moved       a norm writes the rows that run side by side, and the product reads those: what the MLP does. A layer whose rows are sorted has that once more.
 */

const ROWS = 256
const COUNTS = [0, 16, 64, 128, 192, 240, 256]

const [adapter = 'lavapipe', shape = 'syn-135m', rounds = '9'] = process.argv.slice(2)
const { gpu: api } = await createDawnGpu(adapter as AdapterName)
const gpu = await GpuDevice.open({ gpu: api })
const config = syntheticConfig(shape)
const weights = await loadWeights(gpu, config, syntheticCheckpoint(config))
const target = await chooseTarget(gpu, config, weights.dtypes, 'all')
const engine = new Engine(target, weights)
const { hiddenSize: d, intermediateSize: ff, rmsNormEps: eps } = config
const { d4, queryWidth } = target.shape
const { form } = target.choice
const { x, u, q, inner } = engine.scratch
const { vectors, layers } = weights
const arena = new ParamsArena(gpu)
const slot = planSlot(0, ROWS)
const common = { dtype: 'f32', bias: false, forms: form.value.gemms } as const
const params = { slot, firstRow: 0, bias: 0, z: 0 }

/** Dispatches, and how many rows run. */
interface Way {
  readonly of: string
  readonly way: string
  readonly count: number
  /** One for each layer, so that weights come from memory. */
  readonly perLayer: readonly (readonly Dispatch[])[]
  readonly indirect?: GPUBuffer
}

const extent: Extent = { rows: ROWS, context: ROWS }
const chosen = (dispatch: Dispatch): Dispatch => dispatch.variant?.(extent) ?? dispatch

function planFor(count: number): GPUBuffer {
  const words = new Uint32Array(planWords(1, ROWS))
  // Every row has its turn: neighbours seldom run together.
  const active = Array.from({ length: ROWS }, (_, i) => (i * 101) % ROWS)
  words.set([ROWS, 0, 0, 0, count, ...active.slice(0, count).toSorted((a, b) => a - b)])
  return gpu.memory.upload('plan', words)
}

function indirectFor([x, y, z]: Grid): GPUBuffer {
  const { INDIRECT, COPY_DST } = GPUBufferUsage
  const buffer = gpu.memory.create('indirect', 16, INDIRECT | COPY_DST)
  gpu.device.queue.writeBuffer(buffer, 0, Uint32Array.of(x, y, z))
  return buffer
}

const down = { ...common, k4: ff / 4, n: d, outputStride: d, gather: false, epilogue: 'add' } as const
const query = { ...common, k4: d4, n: queryWidth, outputStride: queryWidth, epilogue: 'store', rows: 'active' } as const
const [downAll, downActive, gathered, neighbouring, move, ofWord] = await Promise.all([
  gemmKernel(gpu, { ...down, rows: 'all' }),
  gemmKernel(gpu, { ...down, rows: 'active' }),
  gemmKernel(gpu, { ...query, gather: true }),
  gemmKernel(gpu, { ...query, gather: false }),
  rmsNormKernel(gpu, { d, d4, eps, rows: 'active' }),
  gateUpDecodeKernel(gpu, {
    ...{ d, k4: d4, ff, eps, bias: false, dtype: 'f32', obey: 'skip' },
    form: form.value.matvec({ rows: ff, k: d, dtype: 'f32', parts: 2 }),
  }),
])

const ways: Way[] = []
for (const count of COUNTS) {
  const plan = planFor(count)
  const downs = (kernel: typeof downAll) =>
    layers.map((w) => [kernel(arena, { plan, x: inner, weights: w.down, vectors, y: x }, params)])
  const predicated = downs(downActive)
  const few = chosen(predicated[0]?.[0] as Dispatch).grid({ rows: count, context: ROWS })
  const of = 'down, prompt'
  ways.push({ of, way: 'all', count, perLayer: downs(downAll) })
  ways.push({ of, way: 'predicated', count, perLayer: predicated })
  ways.push({ of, way: 'indirect', count, perLayer: predicated, indirect: indirectFor(few) })
  const queries = (kernel: typeof gathered) => (w: (typeof layers)[number]) =>
    kernel(arena, { plan, x: u, weights: w.qkv, vectors, y: q }, params)
  const moved = (w: (typeof layers)[number]) => move(arena, { plan, x, vectors, u }, { slot, norm: w.inputNorm })
  const ofQuery = 'Q, prompt'
  ways.push({ of: ofQuery, way: 'gathered', count, perLayer: layers.map((w) => [queries(gathered)(w)]) })
  ways.push({ of: ofQuery, way: 'moved', count, perLayer: layers.map((w) => [moved(w), queries(neighbouring)(w)]) })
}
for (const count of [0, 1]) {
  const plan = planFor(count)
  const perLayer = layers.map((w) => [
    ofWord(arena, { plan, x: u, weights: w.gateUp, vectors, a: inner }, { slot, norm: 0, bias: 0 }),
  ])
  const grid = perLayer[0]?.[0]?.grid(extent) as Grid
  const of = 'gate and up, one token'
  ways.push({ of, way: 'predicated', count, perLayer })
  ways.push({ of, way: 'indirect', count, perLayer, indirect: indirectFor(count === 0 ? [0, 1, 1] : grid) })
}

/** Milliseconds of a layer. */
async function time({ perLayer, indirect }: Way): Promise<number> {
  const encoder = gpu.device.createCommandEncoder()
  const pass = encoder.beginComputePass()
  const dispatches = perLayer.flat()
  if (!indirect) record(pass, dispatches, extent)
  else {
    for (const { pipeline, bindGroup } of dispatches.map(chosen)) {
      pass.setPipeline(pipeline)
      pass.setBindGroup(0, bindGroup)
      pass.dispatchWorkgroupsIndirect(indirect, 0)
    }
  }
  pass.end()
  const started = performance.now()
  gpu.device.queue.submit([encoder.finish()])
  await workDone(gpu)
  return (performance.now() - started) / layers.length
}

const times = ways.map((): number[] => [])
for (let round = 0; round <= Number(rounds); round++) {
  for (const [i, way] of ways.entries()) {
    const ms = await time(way)
    if (round > 0) times[i]?.push(ms)
  }
}

const first = new Map<string, number>()
const lines = ways.map(({ of, way, count }, i) => {
  const key = `${of} ${count}`
  if (!first.has(key)) first.set(key, i)
  const beside = times[first.get(key) as number] as number[]
  const own = times[i] as number[]
  const ratio = median(own.map((ms, round) => ms / (beside[round] as number)))
  return `| ${of} | ${count} | ${way} | ${median(own).toFixed(3)} | ${ratio.toFixed(2)} |`
})
writeStdout(`${gpu.adapterName}, ${shape}, f32, form ${form.name}; ms of a layer

| product | that run | way | ms | of the first way |
| --- | --- | --- | --- | --- |
${lines.join('\n')}
`)
engine.destroy()
gpu.destroy()
process.exit(0)
