import type { QkvDecodeOptions } from '../../shaders/qkv-decode.wgsl.js'
import type { Obey } from '../../shaders/snippets/obey.js'
import type { WeightDtype } from '../../shaders/snippets/weights.js'
import type { ParamsArena } from '../gpu/dispatch.js'
import { downDecodeKernel } from '../kernels/down-decode.js'
import { embedKernel } from '../kernels/embed.js'
import { gateUpDecodeKernel } from '../kernels/gate-up-decode.js'
import { qkvDecodeKernel } from '../kernels/qkv-decode.js'
import { matrixShapes } from '../model/layer-matrices.js'
import { isSkipped, makesKeysValues } from '../skip/static-skips.js'
import { decodeAttention } from './decode-attention.js'
import type { Engine } from './engine.js'
import { normedInput } from './normed-input.js'
import { perDtype } from './per-dtype.js'
import { perObey } from './per-obey.js'
import type { LayerProgram, Program, ProgramInputs, Variant } from './program.js'
import { routingKernels } from './routing.js'
import { skippedSublayer } from './skipped-sublayer.js'
import type { Target } from './target.js'

/** Compiles the kernels of `decodeProgram`. */
export async function decodeKernels(target: Target, variant: Variant) {
  const { gpu, shape, choice } = target
  const { config, d4, ff4 } = shape
  const { heads, kvHeads, headDim, hiddenSize: d, rmsNormEps: eps } = config
  const { matvec, heads: headForm } = choice.form.value
  const shapes = matrixShapes(config)
  const first = target.dtypes.layers[0] as Target['dtypes']['layers'][number]
  const qkvForm = (dtype: WeightDtype) => (config.qkNorm ? headForm : matvec({ ...shapes.qkv, dtype, parts: 1 }))
  const gateUpForm = (dtype: WeightDtype) => matvec({ rows: config.intermediateSize, k: d, dtype, parts: 2 })
  const qkvKernel = (queries: QkvDecodeOptions['queries']) =>
    perDtype(target, 'qkv', (dtype) =>
      qkvDecodeKernel(gpu, {
        d,
        k4: d4,
        heads,
        kvHeads,
        headDim,
        eps,
        bias: config.qkvBias,
        qkNorm: config.qkNorm,
        dtype,
        queries,
        form: qkvForm(dtype),
      }),
    )
  const ff = config.intermediateSize
  const make = async (obey: Obey) => {
    const [qkv, attend, input, gateUp, down] = await Promise.all([
      qkvKernel(obey === 'skip' ? 'word' : 'always'),
      decodeAttention(target, obey),
      normedInput(target, gateUpForm(first.gateUp), obey === 'skip' ? 'active' : 'all'),
      perDtype(target, 'gateUp', (dtype) =>
        gateUpDecodeKernel(gpu, {
          d,
          k4: d4,
          ff,
          eps,
          bias: config.mlpBias,
          dtype,
          obey,
          form: gateUpForm(dtype),
        }),
      ),
      perDtype(target, 'down', (dtype) =>
        downDecodeKernel(gpu, {
          d,
          k4: ff4,
          bias: config.mlpBias,
          dtype,
          obey,
          form: matvec({ ...shapes.down, dtype, parts: 1 }),
        }),
      ),
    ])
    return { qkv, attend, input, gateUp, down }
  }
  const phase = 'decode'
  const layers = Array.from({ length: config.layers }, (_, layer) => layer)
  const { policy } = variant
  // What decides goes over the same vector.
  const normalises = [qkvForm(first.qkv), gateUpForm(first.gateUp)].every(({ normed }) => normed)
  const projectsAlone = layers.some((i) => isSkipped(policy, 2 * i, phase) && makesKeysValues(policy, i, phase))
  const [of, entered, keysValues, skipped, route, embed] = await Promise.all([
    perObey(variant, { sublayers: shape.sublayers, phase }, make),
    normedInput(target, qkvForm(first.qkv), 'all'),
    projectsAlone ? qkvKernel('never') : undefined,
    skippedSublayer(target, policy),
    routingKernels(target, variant, { phase, singleRow: true, positions: 'consecutive', normalises }),
    embedKernel(gpu, { width4: d4, stride4: d4, dtype: target.dtypes.embedding }),
  ])
  return { of, entered, keysValues, skipped, route, embed }
}

/**
 * One decode step as dispatches: embed and the layers; head and sampling follow (endings.ts). Everything that changes from step
 * to step (token, position, execute words, stop flag) lies in GPU buffers, so the same list is recorded K times per submit.
 * What every token skips has none, or a scale. A layer has at most 7 dispatches: routers, QKV, attention, output, (routers after attention,) gate and up, down. CPUs
 * behind WebGPU, to which barriers are more than a dispatch, take eight: norms before QKV and gate, which what decides there makes as well, and attention in two.
 */
export async function decodeProgram(engine: Engine, arena: ParamsArena, inputs: ProgramInputs): Promise<Program> {
  const { of, entered, keysValues, skipped, route, embed } = await decodeKernels(engine.target, inputs)
  const { weights, scratch } = engine
  const { buffers, cache } = inputs
  const { x, q, inner } = scratch
  const { vectors } = weights
  const { plan, ids } = buffers
  const layers = weights.layers.map((w, layer): LayerProgram => {
    const r = route(engine, arena, buffers, layer)
    const attention = of(r.attention)
    const mlp = of(r.mlp)
    const kv = cache.kv[layer] as GPUBuffer
    const slot = r.attentionSlot
    const project = r.keysValues ? (attention?.qkv ?? keysValues) : undefined
    const normed = { x: engine.scratch.u, before: [] }
    const first =
      project && (r.normed.attention ? normed : entered(engine, arena, plan, { slot: 0, norm: w.inputNorm }))
    const second = r.normed.mlp ? normed : mlp?.input(engine, arena, plan, { slot: r.mlpSlot, norm: w.postNorm })
    return {
      ...r.program,
      attention: [
        ...(project && first
          ? [
              ...first.before,
              project(layer)(
                arena,
                { plan, x: first.x, weights: w.qkv, vectors, rope: cache.rope, kv, q },
                { slot, norm: w.inputNorm, bias: w.qkvBias, qkNorm: w.qkNorm },
              ),
            ]
          : []),
        ...(attention
          ? attention.attend(engine, arena, { plan, cache, layer, slot })
          : skipped(engine, arena, plan, 2 * layer)),
      ],
      mlp:
        mlp && second
          ? [
              ...second.before,
              mlp.gateUp(layer)(
                arena,
                { plan, x: second.x, weights: w.gateUp, vectors, a: inner },
                { slot: r.mlpSlot, norm: w.postNorm, bias: w.gateUpBias },
              ),
              mlp.down(layer)(
                arena,
                { plan, a: inner, weights: w.down, vectors, x },
                { slot: r.mlpSlot, bias: w.downBias },
              ),
            ]
          : skipped(engine, arena, plan, 2 * layer + 1),
    }
  })
  return { embed: embed(arena, { plan, ids, table: weights.embedding, x }), layers }
}
