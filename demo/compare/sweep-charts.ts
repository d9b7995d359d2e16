import type { SweepPoint } from '../../src/index.js'
import { rate } from '../format.js'
import { chart, type Quantity, type Series } from './chart.js'
import { lineName, type ModelSweep } from './sweeps.js'

/** Loss, and the speeds of generating and of reading, against what was skipped. */
export function sweepCharts(all: readonly ModelSweep[]): HTMLElement[] {
  const [first] = all
  if (!first) return []
  const { nll, speed } = first.sweep.dense
  const lines = (y: (point: SweepPoint) => number, masked: boolean): Series[] =>
    all.flatMap(({ model, sweep }) =>
      sweep.lines
        .filter((line) => line.points.length > 0 && (masked || !line.masked))
        .map((line) => ({
          name: lineName(line.policy, line.masked, model),
          // Every line begins where nothing is skipped.
          points: [sweep.dense, ...line.points].map((point) => ({
            x: point.skip.total,
            y: y(point),
            label: label(point),
          })),
        })),
    )
  const loss = 'On setting 1’s text, in nats per token; lower is better.'
  const against = (dense = 0): Omit<Quantity, 'name'> => ({
    hint: `Against dense, which does ${rate(dense)} on setting 1’s model; medians of rounds in turn; higher is better.`,
    axis: '× dense',
    digits: 2,
    dense: 1,
  })
  return [
    chart(
      lines((point) => point.nll, false),
      { name: 'Loss', hint: loss, axis: 'loss', digits: 3, dense: nll },
    ),
    chart(
      lines((point) => point.speed?.decodeSpeedup ?? 1, true),
      {
        ...against(speed?.decodeTokensPerSecond),
        name: 'Speed of generating',
      },
    ),
    chart(
      lines((point) => point.speed?.prefillSpeedup ?? 1, true),
      {
        ...against(speed?.prefillTokensPerSecond),
        name: 'Speed of reading',
      },
    ),
  ]
}

function label({ share }: SweepPoint): string {
  return share === undefined ? '–' : `${Math.round(100 * share)} %`
}
