import { ParamsArena, record } from '../gpu/dispatch.js'
import { candidates, type Form } from '../gpu/forms.js'
import { workDone } from '../gpu/readback.js'
import { downDecodeKernel } from '../kernels/down-decode.js'
import { FORM_VARIANTS } from '../kernels/form-variants.js'
import { KERNEL_FORMS, type KernelForms } from '../kernels/forms.js'
import { gateUpDecodeKernel } from '../kernels/gate-up-decode.js'
import { formsGiveRightResults } from '../kernels/self-test.js'
import { matrixShapes } from '../model/layer-matrices.js'
import { matrixBytes } from '../model/matrix-loader.js'
import { selfTestOf, type Target } from './target.js'

/** Milliseconds of the same work in one form; asked again and again. */
export type Measure = () => Promise<number>

/** Rounds in which each form has its turn. */
const ROUNDS = 5

/** A form has to be this much faster than the one that is listed first. */
const WORTH = 0.95

/** A run should take about so long, or the clock and the queue count more than the kernels. */
const RUN_MS = 8

/** The MLP of one token is timed, on at most so many bytes of each of its matrices. */
const MOST_BYTES = 32 << 20

/**
 * The name of the form in which a token's largest products are fastest on this device, among those that give right results: a second of work, to be
 * done once.
 */
export async function fastestForm(target: Target, prepare = mlpOf): Promise<string> {
  const { gpu, choice } = target
  const test = selfTestOf(target, 'all')
  const right: Form<KernelForms>[] = [choice.form]
  for (const form of candidates(gpu, [...KERNEL_FORMS, ...FORM_VARIANTS])) {
    if (form.name === choice.form.name || choice.rejected.includes(form.name) || !form.suits(gpu)) continue
    if (await formsGiveRightResults(gpu, form.value, test).catch(() => false)) right.push(form)
  }
  const { measures, release } = await prepare(target, right)
  try {
    const best = right.map(() => Number.POSITIVE_INFINITY)
    // The first round warms up. Whatever else the device does makes a run slower, never faster: the fastest counts.
    for (let round = 0; round <= ROUNDS; round++) {
      for (const [i, measure] of measures.entries()) {
        const ms = await measure()
        if (round > 0) best[i] = Math.min(best[i] as number, ms)
      }
    }
    const fastest = best.indexOf(Math.min(...best))
    const isWorth = (best[fastest] as number) < WORTH * (best[0] as number)
    return (right[isWorth ? fastest : 0] as Form<KernelForms>).name
  } finally {
    release()
  }
}

interface Prepared {
  readonly measures: readonly Measure[]
  release(): void
}

async function mlpOf({ gpu, shape, dtypes }: Target, forms: readonly Form<KernelForms>[]): Promise<Prepared> {
  const { config, d4 } = shape
  const { hiddenSize: d, rmsNormEps: eps } = config
  const { gateUp = 'f32', down = 'f32' } = dtypes.layers[0] ?? {}
  // Whole rows of four, so that both matrices fit.
  const most = Math.floor(MOST_BYTES / (2 * matrixBytes(1, d, gateUp)) / 256) * 256
  const ff = Math.min(matrixShapes(config).down.k, Math.max(256, most))
  const arena = new ParamsArena(gpu)
  const buffers: GPUBuffer[] = []
  const storage = (label: string, bytes: number) => {
    const buffer = gpu.memory.storage(label, bytes)
    buffers.push(buffer)
    return buffer
  }
  const release = () => {
    arena.destroy()
    for (const buffer of buffers) gpu.memory.destroy(buffer)
  }
  try {
    const plan = storage('tuning plan', 64)
    gpu.device.queue.writeBuffer(plan, 0, Uint32Array.of(1))
    const x = storage('tuning x', 16 * d4)
    const a = storage('tuning inner', 4 * ff)
    const vectors = storage('tuning norm', 16 * d4)
    const gateUps = storage('tuning gate, up', matrixBytes(2 * ff, d, gateUp))
    const downs = storage('tuning down', matrixBytes(d, ff, down))
    const common = { d, bias: false, obey: 'always' } as const
    const lists = await Promise.all(
      forms.map(async ({ value: { matvec } }) => {
        const [first, second] = await Promise.all([
          gateUpDecodeKernel(gpu, {
            ...common,
            k4: d4,
            ff,
            eps,
            dtype: gateUp,
            form: matvec({ rows: ff, k: d, dtype: gateUp, parts: 2 }),
          }),
          downDecodeKernel(gpu, {
            ...common,
            k4: Math.ceil(ff / 4),
            dtype: down,
            form: matvec({ rows: d, k: ff, dtype: down, parts: 1 }),
          }),
        ])
        return [
          first(arena, { plan, x, weights: gateUps, vectors, a }, { slot: 0, norm: 0, bias: 0 }),
          second(arena, { plan, a, weights: downs, vectors, x }, { slot: 0, bias: 0 }),
        ]
      }),
    )
    const run = async (dispatches: (typeof lists)[number], times: number) => {
      const encoder = gpu.device.createCommandEncoder()
      const pass = encoder.beginComputePass()
      for (let i = 0; i < times; i++) record(pass, dispatches, { rows: 1, context: 1 })
      pass.end()
      const started = performance.now()
      gpu.device.queue.submit([encoder.finish()])
      await workDone(gpu)
      return performance.now() - started
    }
    const [plain] = lists as [(typeof lists)[number]]
    await run(plain, 1)
    const times = Math.max(1, Math.min(64, Math.round(RUN_MS / ((await run(plain, 4)) / 4))))
    return { measures: lists.map((list) => () => run(list, times)), release }
  } catch (error) {
    release()
    throw error
  }
}
