import { SkipstoneError } from '../../errors.js'
import { GpuDevice } from '../../gpu/device.js'
import { loadWeights } from '../../model/weights.js'
import { BATCH_ROWS } from '../../runtime/batch/batch-buffers.js'
import { Engine } from '../../runtime/engine.js'
import { chooseTarget } from '../../runtime/target.js'
import { type BenchRow, bench, forcedRuns } from '../../study/bench.js'
import { type BatchRow, benchBatches } from '../../study/bench-batch.js'
import { profile } from '../../study/profile.js'
import { syntheticCheckpoint, syntheticConfig } from '../../study/synthetic.js'
import { type BenchCommand, type BenchProfile, type BenchResult, checkTokens } from './bench-request.js'
import type { CommandContext } from './context.js'

/** Times synthetic shapes, or a model under a policy. */
export async function benchCommand(context: CommandContext, options: BenchCommand): Promise<BenchResult> {
  if (options.own) return (await import('./bench-policy.js')).benchPolicy(context, options, options.own)
  const configs = options.shapes.map((shape) => [shape, syntheticConfig(shape)] as const)
  for (const share of options.skips) {
    if (!(share >= 0 && share <= 1))
      throw new SkipstoneError('bad-option', `--skip takes shares from 0 to 1, not ${share}.`)
  }
  for (const [shape, config] of configs) checkTokens(options.tokens, shape, config)
  const most = options.batch.find((count) => !(Number.isInteger(count) && count >= 1 && count <= BATCH_ROWS))
  if (most !== undefined) {
    throw new SkipstoneError('bad-option', `--batch takes numbers of sequences from 1 to ${BATCH_ROWS}, not ${most}.`)
  }
  const gpu = await GpuDevice.open(context.gpu ? { gpu: context.gpu } : {})
  try {
    const rows: BenchRow[] = []
    const batches: BatchRow[] = []
    let profiled: BenchProfile | undefined
    let form = ''
    for (const [shape, config] of configs) {
      const weights = await loadWeights(gpu, config, syntheticCheckpoint(config), {
        dtype: options.dtype,
        gpuBudget: options.gpuBudget,
      })
      const target = await chooseTarget(gpu, config, weights.dtypes, 'all', {
        activations: options.activations,
      })
      if (target.warning) context.progress(`${target.warning}\n`)
      const engine = new Engine(target, weights)
      form = target.choice.form.name
      try {
        const { skips, tokens, repeats, phases } = options
        const { signal, progress } = context
        if (options.profile) {
          const found = await profile(engine, { tokens, phases, signal })
          const named = <T extends object>(rows: readonly T[]) => rows.map((row) => ({ shape, ...row }))
          profiled = {
            limits: found.limits,
            rows: [...(profiled?.rows ?? []), ...named(found.rows)],
            sublayers: [...(profiled?.sublayers ?? []), ...named(found.sublayers)],
          }
        } else if (options.batch.length > 0) {
          const all = { shape, sequences: options.batch, tokens, skips, repeats, signal, progress }
          batches.push(...(await benchBatches(engine, all)))
        } else {
          const runs = forcedRuns(skips)
          rows.push(...(await bench(engine, { shape, runs, tokens, repeats, phases, signal, progress })))
        }
      } finally {
        engine.destroy()
      }
    }
    return {
      adapter: gpu.adapterName,
      dtype: options.dtype,
      form,
      rows,
      ...(batches.length > 0 && { batches }),
      ...(profiled && { profile: profiled }),
    }
  } finally {
    gpu.destroy()
  }
}
