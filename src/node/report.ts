import { cpus, type } from 'node:os'
import { noTraffic } from '../model/traffic.js'
import type { BatchRow } from '../study/bench-batch.js'
import type { Evaluation } from '../study/evaluate.js'
import type { Sweep, SweepPoint } from '../study/sweep.js'
import type { BenchProfile, BenchResult } from './commands/bench-request.js'
import type { CalibrateOutcome } from './commands/calibrate.js'
import type { CompareResult } from './commands/compare.js'
import type { ConvertOutcome } from './commands/convert.js'
import type { GenerateOutcome } from './commands/generate.js'
import type { Request } from './commands/index.js'
import type { InspectResult } from './commands/inspect.js'
import type { StagesResult } from './commands/stages.js'
import type { TuneResult } from './commands/tune.js'

const percent = (share: number) => `${(100 * share).toFixed(1)} %`
const megabytes = (bytes: number) => `${(bytes / 2 ** 20).toFixed(1)} MiB`

/** A result as people read it, its files saved. `command` is the line that was typed. */
export function report(request: Request, result: unknown, command: string): string {
  switch (request.command) {
    case 'generate':
      return generated(result as GenerateOutcome['result'])
    case 'eval':
      return evaluated(result as Evaluation)
    case 'calibrate':
      return calibrated(result as CalibrateOutcome)
    case 'tune':
      return tuned(result as TuneResult)
    case 'compare':
      return compared(result as CompareResult)
    case 'bench':
      return benchmarked(result as BenchResult, command)
    case 'inspect':
      return inspected(result as InspectResult)
    case 'stages':
      return searched(result as StagesResult)
    case 'convert':
      return converted(result as ConvertOutcome['result'])
  }
}

function generated(result: GenerateOutcome['result']): string {
  const { text, skip, timings, finishReason, adapter, streaming, speculation } = result
  const { bytes, tokens, waits, misses } = streaming?.decode ?? noTraffic()
  const streamed = streaming
    ? `; streamed ${megabytes(bytes / Math.max(tokens, 1))} per token, ${waits} waits, ${misses} misses`
    : ''
  const drafted = speculation
    ? `; ${percent(speculation.accepted / Math.max(speculation.proposed, 1))} of ${speculation.proposed} drafted tokens accepted in ${speculation.rounds} rounds`
    : ''
  return `${text}

[${finishReason}] skipped ${percent(skip.total)} (attention ${percent(skip.attention)}, MLP ${percent(skip.mlp)}); prefill ${timings.prefillTokensPerSecond.toFixed(1)} and decode ${timings.decodeTokensPerSecond.toFixed(1)} tokens/s on ${adapter}${streamed}${drafted}
`
}

function converted({ out, tensors, bytes }: ConvertOutcome['result']): string {
  return `${tensors.length} tensors, ${megabytes(bytes)}, written to ${out}\n`
}

function evaluated({ tokens, nll, perplexity, skip }: Evaluation): string {
  return `${tokens} tokens, ${nll.toFixed(6)} nats, perplexity ${perplexity.toFixed(3)}, skipped ${percent(skip.total)}\n`
}

function calibrated({ out, profile }: CalibrateOutcome): string {
  const { similarity, scale, layerSimilarity, tokens, text } = profile
  const cell = (values: readonly number[], i: number) => (values[i] as number).toFixed(4)
  const rows = layerSimilarity.map((_, layer) => {
    const [attention, mlp] = [2 * layer, 2 * layer + 1]
    return tableRow([
      layer,
      cell(similarity, attention),
      cell(scale, attention),
      cell(similarity, mlp),
      cell(scale, mlp),
      cell(layerSimilarity, layer),
    ])
  })
  return `| layer | attention: cosine | norm ratio | MLP: cosine | norm ratio | layer: cosine |
|${' --- |'.repeat(6)}
${rows.join('\n')}

${tokens} tokens ${text === 'given' ? 'of the text' : 'that the model sampled itself'}, written to ${out}
`
}

function tuned({ steps, held, skip, files, out }: TuneResult): string {
  const adapted = held.adapted === undefined ? '' : `, routed with the LoRA ${held.adapted.toFixed(4)}`
  return `${steps.length} steps. On held-out text: ${held.dense.toFixed(4)} nats dense, ${held.routed.toFixed(4)} routed${adapted}; skipped ${percent(skip.total)} (attention ${percent(skip.attention)}, MLP ${percent(skip.mlp)})
Written to ${out}: ${files.join(', ')}
`
}

function compared({ runs, sweep }: CompareResult): string {
  const texts = runs.map(
    (run) =>
      `${run.policy}: skipped ${percent(run.skip.total)}, ${run.nll.toFixed(4)} nats on the first text, ${percent(run.agreement)} of decisions agree, ${run.partsAt === null ? 'same text' : `parts at token ${run.partsAt}`}\n${run.text}\n`,
  )
  return [...texts, ...(sweep ? [sweepTable(sweep)] : [])].join('\n')
}

function sweepTable({ tokens, dense, lines }: Sweep): string {
  const row = (name: string, { policy, share, skip, nll, nllRange, speed }: SweepPoint) =>
    tableRow([
      name,
      share === undefined ? policy : percent(share),
      percent(skip.total),
      percent(skip.attention),
      percent(skip.mlp),
      nll.toFixed(4) + (nllRange ? ` (${nllRange.map((one) => one.toFixed(3)).join('–')})` : ''),
      ...(speed
        ? [
            `${speed.prefillTokensPerSecond.toFixed(0)}, ${speed.prefillSpeedup.toFixed(2)} ×`,
            `${speed.decodeTokensPerSecond.toFixed(1)}, ${speed.decodeSpeedup.toFixed(2)} ×`,
            megabytes(speed.weightBytesPerToken),
          ]
        : []),
    ])
  const times = dense.speed ? ' prefill tokens/s | decode tokens/s | weights/token |' : ''
  return `${tokens} predicted tokens

| policy | asked | skipped | attention | MLP | nats |${times}
|${' --- |'.repeat(dense.speed ? 9 : 6)}
${row('dense', dense)}
${lines.flatMap((line) => line.points.map((its) => row(line.masked ? `${line.policy}, masked` : line.policy, its))).join('\n')}
`
}

function searched({ tried, best, policy }: StagesResult): string {
  const rows = tried.map((trial) =>
    tableRow([
      trial.budgets.join('/'),
      percent(trial.accuracy),
      trial.stageMs.map((ms) => ms.toFixed(0)).join(' + '),
      trial.stageMs.reduce((sum, ms) => sum + ms, 0).toFixed(0),
      trial === best ? 'chosen' : '',
    ]),
  )
  return `| budgets | right | ms by stage | ms | |
|${' --- |'.repeat(5)}
${rows.join('\n')}

${policy}
`
}

/** A row of a table in Markdown. */
const tableRow = (cells: readonly (string | number)[]) => `| ${cells.join(' | ')} |`

function profileTable({ limits, rows, sublayers }: BenchProfile): string {
  const lines = rows.map((r) =>
    tableRow([
      r.shape,
      r.phase,
      r.tokens,
      r.kernel,
      r.dispatches,
      r.ms.toFixed(3),
      percent(r.share),
      r.ofLimit === null ? '–' : r.ofLimit.toFixed(3),
    ]),
  )
  return `Limits: reading ${(limits.bytesPerSecond / 1e9).toFixed(1)} GB/s, arithmetic ${(limits.flops / 1e9).toFixed(0)} GFLOP/s (f32)

| shape | phase | tokens | kernel | dispatches | ms | share | of limit |
|${' --- |'.repeat(8)}
${lines.join('\n')}

| shape | phase | tokens | attention, ms by layer | MLP, ms by layer | rest, ms |
|${' --- |'.repeat(6)}
${sublayers.map(sublayerLine).join('\n')}
`
}

function sublayerLine({ shape, phase, tokens, ms, restMs }: BenchProfile['sublayers'][number]): string {
  const of = (kind: 0 | 1) =>
    ms
      .filter((_, sublayer) => sublayer % 2 === kind)
      .map((one) => one.toFixed(3))
      .join(' ')
  return tableRow([shape, phase, tokens, of(0), of(1), restMs.toFixed(3)])
}

function batchTable(rows: readonly BatchRow[]): string {
  const lines = rows.map((r) =>
    tableRow([
      r.shape,
      r.tokens,
      percent(r.skip),
      r.sequences,
      r.ms.toFixed(2),
      r.tokensPerSecond.toFixed(1),
      r.gain.toFixed(2),
    ]),
  )
  return `
| shape | tokens | skip | sequences | ms/step | tokens/s | of one |
|${' --- |'.repeat(7)}
${lines.join('\n')}
`
}

function benchmarked({ adapter, dtype, form, rows, profile, batches }: BenchResult, command: string): string {
  const machine = `${cpus()[0]?.model.trim() ?? 'unknown processor'}, ${cpus().length} cores, ${type()}, Node ${process.version}`
  const streams = rows.some((r) => r.streamedBytesPerToken !== undefined)
  const header =
    '| shape | phase | tokens | mode | skip | ms | dispatches/layer | waits/token | speedup | ideal | of ideal |' +
    (streams ? ' streamed/token |' : '')
  const lines = rows.map((r) =>
    tableRow([
      r.shape,
      r.phase,
      r.tokens,
      r.mode,
      percent(r.skip),
      r.ms.toFixed(2),
      r.dispatchesPerLayer,
      r.waitsPerToken.toFixed(3),
      r.speedup.toFixed(3),
      r.idealSpeedup.toFixed(3),
      r.ofIdeal === null ? '–' : r.ofIdeal.toFixed(3),
      ...(streams ? [r.streamedBytesPerToken === undefined ? '–' : megabytes(r.streamedBytesPerToken)] : []),
    ]),
  )
  const head = `Machine: ${machine}
Adapter: ${adapter}
Weights: ${dtype}; kernel form: ${form}
Command: ${command}
`
  if (batches) return `${head}${batchTable(batches)}`
  if (profile) return `${head}${profileTable(profile)}`
  return `${head}
${header}
|${' --- |'.repeat(streams ? 12 : 11)}
${lines.join('\n')}
`
}

function inspected(r: InspectResult): string {
  const c = r.config
  return `${r.model}: ${r.architecture}, ${c.layers} layers, hidden ${c.hiddenSize}, MLP ${c.intermediateSize}, ${c.heads} heads (${c.kvHeads} key-value, size ${c.headDim}), vocabulary ${c.vocabSize}, context ${c.contextLength}
${r.parameters.toLocaleString('en')} parameters in ${r.tensors.length} tensors, ${megabytes(r.bytes)}
GPU memory: ${megabytes(r.memory.f32)} as f32, ${megabytes(r.memory.f16)} as f16, ${megabytes(r.memory.q8)} as q8, ${megabytes(r.memory.q4)} as q4; cache ${megabytes(r.memory.cachePerThousandPositions)} per 1,000 positions
Routers: ${r.routers ? `${r.routers.kind}, ${r.routers.parameters.toLocaleString('en')} parameters` : 'none'}
${r.tensors.map((t) => `  ${t.name} ${t.dtype} [${t.shape.join(', ')}]`).join('\n')}
`
}
