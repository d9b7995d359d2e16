import { describe, expect, it } from 'vitest'
import { planSlot } from '../../shaders/snippets/plan.js'
import { canRun } from '../../src/gpu/forms.js'
import { addGatedKernel } from '../../src/kernels/add-gated.js'
import { attentionDecodeKernel } from '../../src/kernels/attention-decode.js'
import { attentionInTurnKernels } from '../../src/kernels/attention-in-turn.js'
import { attentionOutputKernel } from '../../src/kernels/attention-output.js'
import { attentionPrefillKernel } from '../../src/kernels/attention-prefill.js'
import { compactKernel } from '../../src/kernels/compact.js'
import { downDecodeKernel } from '../../src/kernels/down-decode.js'
import { KERNEL_FORMS, type KernelForms } from '../../src/kernels/forms.js'
import { gateScoresKernel } from '../../src/kernels/gate-scores.js'
import { gateUpDecodeKernel } from '../../src/kernels/gate-up-decode.js'
import { gemmKernel } from '../../src/kernels/gemm.js'
import { materialiseKernel } from '../../src/kernels/materialise.js'
import { nllKernel } from '../../src/kernels/nll.js'
import { rmsNormKernel } from '../../src/kernels/rms-norm.js'
import { ropeRowsKernel } from '../../src/kernels/rope-rows.js'
import { routerLinearKernel } from '../../src/kernels/router-linear.js'
import { routerTwoLayerKernel } from '../../src/kernels/router-two-layer.js'
import { SETTINGS_BYTES, sampleKernel, sampleSettings } from '../../src/kernels/sample.js'
import { ropeTable } from '../../src/model/rope.js'
import { routerBlocks } from '../../src/runtime/router-arena.js'
import { distinctForms } from '../fixtures/distinct-forms.js'
import { loadOps, type OpCase, sharedPresent } from '../fixtures/golden.js'
import {
  type Bench,
  expectClose,
  gpuSuite,
  padRows,
  planOf,
  range,
  storeMatrix,
  takeRows,
  vectorTable,
} from '../gpu/testing.js'
import { foldRouter } from '../reference/routers.js'

type Run = (bench: Bench, c: OpCase, forms: KernelForms) => Promise<void>

const RUN: Record<string, Run> = {
  async attention_prefill(bench, c, forms) {
    const [, heads, headDim] = c.shape('q') as [number, number, number]
    const kvHeads = c.shape('k')[1]!
    const { past, new: rows, count } = c.params as { past: number; new: number; count: number }
    const mask = Array<number>(rows).fill(0)
    for (const position of c.ints('q_pos')) mask[position - past] = 1
    const kernel = await attentionPrefillKernel(bench.gpu, {
      heads,
      kvHeads,
      headDim,
      rows: 'active',
      unrolled: false,
      passedBy: forms.attention.passedBy,
    })
    const buffers = {
      plan: bench.upload(planOf({ rows, start: past, capacity: rows, execute: [mask] })),
      q: bench.upload(c.floats('q')),
      kv: bench.upload(cacheOf(c, kvHeads * headDim)),
      out: bench.poisoned(rows * heads * headDim),
    }
    await bench.run([kernel(bench.arena, buffers, { slot: planSlot(0, rows) })], { rows })
    const written = { from: 0, to: count * heads * headDim }
    expectGolden(c, 'y', (await bench.floats(buffers.out)).subarray(0, written.to))
    await bench.expectUntouched(buffers.out, written)
  },

  /** Both halves: an output projection that copies, onto a residual stream of zeros. And in turn. */
  async attention_decode(bench, c, forms) {
    const [, heads, headDim] = c.shape('q') as [number, number, number]
    const [positions, kvHeads] = c.shape('k') as [number, number]
    const d = heads * headDim
    const options = { heads, kvHeads, headDim, splits: { most: 2, tile: 64, least: 64 } }
    const attend = await attentionDecodeKernel(bench.gpu, {
      ...options,
      obeys: 'plan',
    })
    const output = await attentionOutputKernel(bench.gpu, {
      ...options,
      d,
      bias: false,
      dtype: 'f32',
      obey: 'skip',
      form: forms.matvec(MATRIX),
    })
    const buffers = {
      plan: bench.upload(planOf({ rows: 1, start: positions - 1, capacity: 1, execute: [[1]] })),
      q: bench.upload(c.floats('q')),
      caches: [bench.upload(cacheOf(c, kvHeads * headDim))],
      splitSums: bench.poisoned(heads * 2 * (headDim + 2)),
      weights: bench.upload(identity(d)),
      vectors: bench.upload(new Float32Array(4)),
      x: bench.inout(new Float32Array(d)),
    }
    const slot = planSlot(0, 1)
    await bench.run([attend(bench.arena, buffers, { slot, z: 0 }), output(bench.arena, buffers, { slot, bias: 0 })], {
      context: positions,
    })
    expectGolden(c, 'y', await bench.floats(buffers.x))

    const inTurn = await attentionInTurnKernels(bench.gpu, { heads, kvHeads, headDim, obeys: 'plan' })
    const [kv] = buffers.caches as [GPUBuffer]
    const own = { ...buffers, kv, scores: bench.poisoned(heads * positions), out: bench.poisoned(d) }
    await bench.run(inTurn(bench.arena, own, { slot, z: 0, row: 0 }), { context: positions })
    expectGolden(c, 'y', await bench.floats(own.out))
  },

  async linear(bench, c, forms) {
    const [n, k] = c.shape('weight') as [number, number]
    const indices = c.ints('indices')
    const capacity = c.shape('x')[0]!
    const mask = range(capacity).map((row) => indices.includes(row))
    // Halves are exact in f32: an f16 case is one whose f16 form holds the same values.
    const isF16 = storeMatrix(c.floats('weight'), k, 'f16').stored.every((v, i) => v === c.floats('weight')[i])
    const dtype = isF16 ? 'f16' : 'f32'
    const kernel = await gemmKernel(bench.gpu, { ...PRODUCT, k4: k / 4, n, outputStride: n, dtype, forms: forms.gemms })
    const buffers = {
      plan: bench.upload(planOf({ rows: capacity, capacity, execute: [mask] })),
      x: bench.upload(c.floats('x')),
      weights: bench.upload(storeMatrix(c.floats('weight'), k, dtype).bytes),
      vectors: bench.upload(new Float32Array(4)),
      y: bench.poisoned(capacity * n),
    }
    const params = { slot: planSlot(0, capacity), firstRow: 0, bias: 0, z: 0 }
    await bench.run([kernel(bench.arena, buffers, params)], { rows: capacity })
    const y = await bench.floats(buffers.y)
    expectGolden(c, 'y', y.subarray(0, indices.length * n))
    await bench.expectUntouched(buffers.y, { from: 0, to: indices.length * n })
    if (indices.length !== 1) return

    const single = await downDecodeKernel(bench.gpu, {
      d: n,
      k4: k / 4,
      bias: false,
      dtype,
      obey: 'skip',
      form: forms.matvec(MATRIX),
    })
    const x = bench.inout(new Float32Array(n))
    const a = bench.upload(takeRows(c.floats('x'), [...indices], k))
    await bench.run([single(bench.arena, { ...buffers, a, x }, { slot: planSlot(0, capacity), bias: 0 })])
    expectGolden(c, 'y', await bench.floats(x))
  },

  /** The adapter is merged on the GPU, then the product taken. */
  async lora_linear(bench, c, forms) {
    const [n, k] = c.shape('weight') as [number, number]
    const rows = c.shape('x')[0]!
    const { alpha, r } = c.params as { alpha: number; r: number }
    const merge = await materialiseKernel(bench.gpu, { from: 'f32', to: 'f32', lora: true })
    const kernel = await gemmKernel(bench.gpu, {
      ...PRODUCT,
      k4: k / 4,
      n,
      outputStride: n,
      rows: 'all',
      gather: false,
      forms: forms.gemms,
    })
    const buffers = {
      source: bench.upload(c.floats('weight')),
      words: bench.poisoned(n * k),
      loraA: bench.upload(c.floats('a')),
      loraB: bench.upload(c.floats('b')),
      plan: bench.upload(planOf({ rows, capacity: rows })),
      x: bench.upload(c.floats('x')),
      vectors: bench.upload(new Float32Array(4)),
      y: bench.poisoned(rows * n),
    }
    await bench.run(
      [
        merge(bench.arena, buffers, { rows: n, k, targetRow: 0, rank: r, scale: alpha / r }),
        kernel(bench.arena, { ...buffers, weights: buffers.words }, { slot: 0, firstRow: 0, bias: 0, z: 0 }),
      ],
      { rows },
    )
    expectGolden(c, 'y', await bench.floats(buffers.y))
  },

  /** Through the epilogue of the product: weights that copy the halves of rows [gate, up]. */
  async swiglu(bench, c, forms) {
    const [rows, width] = c.shape('gate') as [number, number]
    const both = range(rows).flatMap((row) =>
      ['gate', 'up'].flatMap((name) => [...takeRows(c.floats(name), [row], width)]),
    )
    const kernel = await gemmKernel(bench.gpu, {
      ...PRODUCT,
      k4: (2 * width) / 4,
      n: width,
      outputStride: width,
      rows: 'all',
      gather: false,
      epilogue: 'silu-up',
      forms: forms.gemms,
    })
    const buffers = {
      plan: bench.upload(planOf({ rows, capacity: rows })),
      x: bench.upload(Float32Array.from(both)),
      weights: bench.upload(identity(2 * width)),
      vectors: bench.upload(new Float32Array(4)),
      y: bench.poisoned(rows * width),
    }
    await bench.run([kernel(bench.arena, buffers, { slot: 0, firstRow: 0, bias: 0, z: 0 })], { rows })
    expectGolden(c, 'y', await bench.floats(buffers.y))
  },

  /** As prefill runs it, from the execute bits on; where there is one row, as decode runs it too. */
  async mlp_sublayer(bench, c, forms) {
    const [ff, d] = c.shape('gate') as [number, number]
    const rows = c.shape('h')[0]!
    const eps = c.params.eps as number
    const [d4, ff4] = [Math.ceil(d / 4), Math.ceil(ff / 4)]
    const vectors = vectorTable({ norm: c.floats('norm') })
    const gateUp = Float32Array.from([...c.floats('gate'), ...c.floats('up')])
    const shared = {
      weights: bench.upload(storeMatrix(gateUp, d, 'f32').bytes),
      vectors: bench.upload(vectors.data),
    }
    const downWeights = bench.upload(storeMatrix(c.floats('down'), ff, 'f32').bytes)
    const execute = [...c.ints('execute')]
    const slot = planSlot(0, rows)
    const norm = await rmsNormKernel(bench.gpu, { d, d4, eps, rows: 'active' })
    const product = { ...PRODUCT, gather: false, forms: forms.gemms }
    const first = await gemmKernel(bench.gpu, {
      ...product,
      k4: d4,
      n: ff,
      outputStride: 4 * ff4,
      epilogue: 'silu-up',
    })
    const second = await gemmKernel(bench.gpu, { ...product, k4: ff4, n: d, outputStride: 4 * d4, epilogue: 'add' })
    const plan = bench.inout(planOf({ rows, capacity: rows, execute: [execute.map(() => 0)] }))
    const decide = await compactKernel(bench.gpu, { capacity: rows, count: 1 })
    const z = bench.upload(Float32Array.from(execute, (runs) => (runs ? 0.5 : -0.5)))
    const buffers = {
      ...shared,
      plan,
      x: bench.inout(padRows(c.floats('h'), d)),
      u: bench.inout(new Float32Array(rows * 4 * d4)),
      inner: bench.inout(new Float32Array(rows * 4 * ff4)),
    }
    const params = { slot, firstRow: 0, bias: 0, z: 0 }
    await bench.run(
      [
        decide(bench.arena, { z, plan }, { sublayer: 0 }),
        norm(bench.arena, buffers, { slot, ...vectors.at }),
        first(bench.arena, { ...buffers, x: buffers.u, y: buffers.inner }, params),
        second(bench.arena, { ...buffers, x: buffers.inner, weights: downWeights, y: buffers.x }, params),
      ],
      { rows },
    )
    const active = [...(await bench.words(plan)).subarray(slot + 1, slot + 1 + c.shape('indices')[0]!)]
    expect(active).toEqual([...c.ints('indices')])
    expectGolden(c, 'y', takeRows(await bench.floats(buffers.x), range(rows), d, 4 * d4))

    if (rows > 1) return
    const common = { bias: false, dtype: 'f32', obey: 'skip', form: forms.matvec(MATRIX) } as const
    const up = await gateUpDecodeKernel(bench.gpu, { ...common, d, k4: d4, ff, eps })
    const down = await downDecodeKernel(bench.gpu, { ...common, d, k4: ff4 })
    const x = bench.inout(padRows(c.floats('h'), d))
    const a = buffers.inner
    const { normed } = common.form
    await bench.run([
      ...(normed ? [norm(bench.arena, { ...buffers, x }, { slot, ...vectors.at })] : []),
      up(bench.arena, { ...shared, plan, x: normed ? buffers.u : x, a }, { slot, bias: 0, ...vectors.at }),
      down(bench.arena, { ...shared, plan, a, weights: downWeights, x }, { slot, bias: 0 }),
    ])
    expectGolden(c, 'y', takeRows(await bench.floats(x), [0], d, 4 * d4))
  },

  async rms_norm(bench, c) {
    const [rows, d] = c.shape('x') as [number, number]
    const vectors = vectorTable({ norm: c.floats('weight') })
    const eps = c.params.eps as number
    const kernel = await rmsNormKernel(bench.gpu, { d, d4: d / 4, eps, rows: 'all' })
    const buffers = {
      plan: bench.upload(planOf({ rows, capacity: rows })),
      x: bench.upload(c.floats('x')),
      vectors: bench.upload(vectors.data),
      u: bench.poisoned(rows * d),
    }
    await bench.run([kernel(bench.arena, buffers, { slot: 0, ...vectors.at })], { rows })
    expectGolden(c, 'y', await bench.floats(buffers.u))
  },

  /** Rows at any position: the active list of the plan says where they stand. */
  async rope(bench, c) {
    const [rows, heads, headDim] = c.shape('x') as [number, number, number]
    const positions = [...c.ints('positions')]
    const table = ropeTable(
      { kind: 'default', theta: c.params.theta as number },
      headDim,
      0,
      Math.max(...positions) + 1,
    )
    const kernel = await ropeRowsKernel(bench.gpu, {
      heads,
      kvHeads: 1,
      headDim,
      eps: 1,
      qkNorm: false,
      rows: 'active',
      target: 'query',
      positions: 'consecutive',
    })
    const plan = planOf({ rows, capacity: rows, execute: [Array(rows).fill(1)] })
    plan.set(positions, planSlot(0, rows) + 1)
    const buffers = {
      plan: bench.upload(plan),
      rope: bench.upload(table),
      vectors: bench.upload(new Float32Array(4)),
      out: bench.inout(c.floats('x')),
    }
    await bench.run([kernel(bench.arena, buffers, { slot: planSlot(0, rows), norm: 0 })], { rows })
    expectGolden(c, 'y', await bench.floats(buffers.out))
  },

  async router(bench, c) {
    const [rows, d] = c.shape('x') as [number, number]
    const prefix = 'model.layers.0.router_attention'
    const tensor = (name: string) => ({ shape: c.shape(name), data: c.floats(name) })
    const tensors = new Map([
      [`${prefix}.weight_predictor.weight`, tensor('weight')],
      [`${prefix}.weight_predictor.bias`, tensor('bias')],
    ])
    const isTwoLayer = c.has('hidden_weight')
    if (isTwoLayer) {
      tensors.set(`${prefix}.hidden_layer.weight`, tensor('hidden_weight'))
      tensors.set(`${prefix}.hidden_layer.bias`, tensor('hidden_bias'))
    }
    const folded = foldRouter(tensors, prefix)
    const width = folded.weight.length
    const router = {
      weight: Float32Array.from(folded.weight),
      bias: folded.bias,
      hiddenWeight: Float32Array.from(folded.hiddenWeight ?? []),
      hiddenBias: Float32Array.from(folded.hiddenBias ?? []),
    }
    const blocks = isTwoLayer
      ? routerBlocks({ kind: 'two-layer', width, attention: [router], mlp: [router] })
      : routerBlocks({
          kind: 'linear',
          attention: [{ weight: router.weight, bias: router.bias }],
          mlp: [{ weight: router.weight, bias: router.bias }],
        })
    const options = { d4: d / 4, capacity: rows, count: 1, writesPlan: false } as const
    const kernel = isTwoLayer
      ? await routerTwoLayerKernel(bench.gpu, { ...options, width })
      : await routerLinearKernel(bench.gpu, options)
    const delta = c.params.delta as number
    const buffers = {
      plan: bench.upload(planOf({ rows, capacity: rows })),
      x: bench.upload(c.floats('x')),
      routers: bench.upload(blocks.data),
      thresholds: bench.upload(Float32Array.of(delta)),
      z: bench.poisoned(rows),
    }
    await bench.run([kernel(bench.arena, buffers, { sublayer: 0, weights: 0, stride: blocks.stride, norm: 0 })], {
      rows,
    })
    const z = await bench.floats(buffers.z)
    expectGolden(
      c,
      'z',
      z.map((margin) => margin + delta),
    )
    expect(Array.from(z, (margin) => (margin >= 0 ? 1 : 0))).toEqual([...c.ints('execute')])
  },

  /** Its slots (where each row went) are only on the CPU: no kernel needs them. */
  async compact(bench, c) {
    const execute = [...c.ints('execute')]
    const capacity = 4100
    const kernel = await compactKernel(bench.gpu, { capacity, count: 1 })
    const z = new Float32Array(capacity).fill(1)
    z.set(execute.map((runs) => (runs ? 0 : -1)))
    const plan = planOf({ rows: execute.length, capacity, execute: [[]] })
    const buffers = { z: bench.upload(z), plan: bench.inout(plan) }
    await bench.run([kernel(bench.arena, buffers, { sublayer: 0 })])
    const at = planSlot(0, capacity)
    plan.set([c.ints('count')[0]!, ...c.ints('indices')], at)
    expect(await bench.words(buffers.plan)).toEqual(plan)
  },

  /** The sampler at temperature 0. */
  async argmax(bench, c) {
    const vocab = c.shape('x')[0]!
    const kernel = await sampleKernel(bench.gpu)
    const { memory, device } = bench.gpu
    const settings = memory.create('settings', SETTINGS_BYTES, GPUBufferUsage.UNIFORM | GPUBufferUsage.COPY_DST)
    const greedy = {
      temperature: 0,
      topP: 1,
      minP: 0,
      repetitionPenalty: 1,
      topK: 0,
      seed: 0,
      stopCount: 0,
      vocab,
      stride: 1,
    }
    device.queue.writeBuffer(settings, 0, sampleSettings({ ...greedy, vocab, stride: 1 }))
    const buffers = {
      logits: bench.upload(c.floats('x')),
      seen: bench.inout(new Uint32Array(Math.ceil(vocab / 32))),
      stops: bench.upload(new Uint32Array(1)),
      plan: bench.inout(planOf({ rows: 1, capacity: 1 })),
      ids: bench.poisoned(1),
      ring: bench.poisoned(1),
      settings,
    }
    await bench.run([kernel(bench.arena, buffers)])
    memory.destroy(settings)
    expect([...(await bench.words(buffers.ring))]).toEqual([...c.ints('index')])
  },

  async nll(bench, c) {
    const [rows, vocab] = c.shape('logits') as [number, number]
    const kernel = await nllKernel(bench.gpu, { vocab })
    const buffers = {
      plan: bench.upload(planOf({ rows, capacity: rows })),
      logits: bench.upload(c.floats('logits')),
      targets: bench.upload(Uint32Array.from(c.ints('targets'))),
      nll: bench.poisoned(rows),
    }
    await bench.run([kernel(bench.arena, buffers)], { rows })
    expectGolden(c, 'nll', await bench.floats(buffers.nll))
  },

  /** The product, its scores, the rows that run, and what they add. The branch is the product of an identity, to have it in their order. */
  async gate(bench, c, forms) {
    const { gpu, arena } = bench
    const [rows, d] = c.shape('u') as [number, number]
    const d4 = d / 4
    const at = { slot: planSlot(0, rows), firstRow: 0, bias: 0, z: 0 }
    const common = { k4: d4, n: d, outputStride: d, dtype: 'f32', epilogue: 'store', forms: forms.gemms } as const
    const product = await gemmKernel(gpu, { ...common, bias: true, rows: 'all', gather: false })
    const gathered = await gemmKernel(gpu, { ...common, bias: false, rows: 'active', gather: true })
    const score = await gateScoresKernel(gpu, { outputs: d, stride: d, capacity: rows, tieRuns: false })
    const compact = await compactKernel(gpu, { capacity: rows, count: 1 })
    const add = await addGatedKernel(gpu, { d4, gate: 'vector', rows: 'active', masked: false })
    const identity = Float32Array.from({ length: d * d }, (_, i) => (i % (d + 1) === 0 ? 1 : 0))
    const plan = bench.inout(planOf({ rows, capacity: rows, execute: [Array<number>(rows).fill(0)] }))
    const vectors = bench.upload(c.floats('bias'))
    const gates = bench.poisoned(rows * d)
    const z = bench.poisoned(rows)
    const branch = bench.poisoned(rows * d)
    const x = bench.inout(c.floats('h'))
    const thresholds = bench.upload(c.floats('threshold'))
    const [u, weights] = [bench.upload(c.floats('u')), bench.upload(c.floats('weight'))]
    await bench.run(
      [
        product(arena, { plan, x: u, weights, vectors, y: gates }, at),
        score(arena, { plan, gates, thresholds, z }, { sublayer: 0 }),
        compact(arena, { z, plan }, { sublayer: 0 }),
        gathered(
          arena,
          { plan, x: bench.upload(c.floats('branch')), weights: bench.upload(identity), vectors, y: branch },
          at,
        ),
        add(arena, { plan, branch, gates, x, z }, { slot: at.slot, z: 0, offset: 0, gain: 1 }),
      ],
      { rows },
    )
    const margins = await bench.floats(z)
    const threshold = c.floats('threshold')[0]!
    expectGolden(
      c,
      'mean_gate',
      margins.map((margin) => margin + threshold),
    )
    expect(Array.from(margins, (margin) => (margin >= 0 ? 1 : 0))).toEqual([...c.ints('execute')])
    expectGolden(c, 'y', await bench.floats(x))
  },
}

/** `adamw` belongs to training. */
const NO_KERNEL = ['adamw']

const MATRIX = { rows: 96, k: 64, dtype: 'f32', parts: 1 } as const
const PRODUCT = { dtype: 'f32', bias: false, rows: 'active', gather: true, epilogue: 'store' } as const

// Nothing to collect where the data is absent: the suite is then reported as skipped.
const cases = sharedPresent ? loadOps() : []

describe.skipIf(!sharedPresent)('golden operations', () => {
  it('are all run, but for those without a kernel', () => {
    const known = [...Object.keys(RUN), ...NO_KERNEL]
    expect(new Set(cases.map((c) => c.op))).toEqual(new Set(known))
  })

  gpuSuite('on the GPU', (bench) => {
    for (const [op, run] of Object.entries(RUN)) {
      describe(op, () => {
        // The forms take turns: each is held to the reference at other sizes in its kernel's own tests.
        cases
          .filter((c) => c.op === op)
          .forEach((c, i) => {
            it(c.name, () => {
              const able = KERNEL_FORMS.filter((form) => canRun(form, bench.gpu))
              const forms = distinctForms(able, 'gemms')
              return run(bench, c, forms[i % forms.length]!.value)
            })
          })
      })
    }
  })
})

/** Within the limit that the golden README suggests. */
function expectGolden(c: OpCase, output: string, actual: ArrayLike<number>): void {
  expectClose(actual, c.floats(output), undefined, `${c.name}.${output}`)
}

/** Keys and values of each position side by side, as the cache holds them. */
function cacheOf(c: OpCase, width: number): Float32Array {
  const positions = c.shape('k')[0]!
  const [k, v] = [c.floats('k'), c.floats('v')]
  return Float32Array.from(
    range(positions).flatMap((row) => [...takeRows(k, [row], width), ...takeRows(v, [row], width)]),
  )
}

function identity(size: number): Float32Array {
  const matrix = new Float32Array(size * size)
  for (let i = 0; i < size; i++) matrix[i * size + i] = 1
  return matrix
}
