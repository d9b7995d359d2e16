import type { TuneStep } from '../../src/index.js'
import { scale } from '../compare/scale.js'
import { svg } from '../compare/svg.js'
import { scrollBox, table } from '../compare/table.js'
import { create } from '../dom.js'
import { STAGES, type Stage } from './stages.js'

interface Line {
  readonly name: string
  value(step: TuneStep): number
}

interface Plot {
  readonly name: string
  readonly lines: readonly Line[]
  /** Drawn across: what is to be reached. */
  readonly target?: number
}

const WIDTH = 360
const HEIGHT = 210
const LEFT = 44
const RIGHT = 14 // half of the last number
const TOP = 10
const BOTTOM = 36
const DIGITS = 3
/** Rows of the table, at most about. */
const ROWS = 20

/** How a run goes: losses, the share that executes against its target, and the temperature; the same as words and as a table. */
export class Curves {
  readonly #plots: readonly { readonly plot: Plot; readonly box: HTMLElement }[]
  readonly #details = create('details')
  readonly #rows = scrollBox('Steps of the run')
  #steps: readonly TuneStep[] = []

  /** `target`: the share to skip, where the stage has one. */
  constructor(
    root: HTMLElement,
    private readonly total: number,
    private readonly stage: Stage,
    target: number,
  ) {
    const grid = create('div', { className: 'curves' })
    this.#plots = plotsOf(stage, target).map((plot) => {
      const figure = create('figure', { className: 'curve' })
      const caption = create('figcaption')
      caption.append(create('h3', { text: plot.name }), key(plot))
      const box = create('div')
      figure.append(caption, box)
      grid.append(figure)
      return { plot, box }
    })
    this.#details.append(create('summary', { text: 'The curves as a table' }), this.#rows)
    this.#details.addEventListener('toggle', () => this.#showRows())
    root.replaceChildren(grid, this.#details)
  }

  draw(steps: readonly TuneStep[]): void {
    this.#steps = steps
    for (const { plot, box } of this.#plots) box.replaceChildren(drawing(plot, steps, this.total))
    this.#showRows()
  }

  #showRows(): void {
    if (!this.#details.open) return
    const every = Math.ceil(this.#steps.length / ROWS)
    const chosen = this.#steps.filter(({ step }, i) => step % every === 0 || i === this.#steps.length - 1)
    const hasTau = STAGES[this.stage].decides?.hasTau === true
    const rows = chosen.map(({ step, loss, crossEntropy, executeRate, tau }) => [
      String(step + 1),
      ...[loss, crossEntropy, executeRate, ...(hasTau ? [tau] : [])].map((value) => value.toFixed(DIGITS)),
    ])
    this.#rows.replaceChildren(table(['Step', 'Loss', 'Cross-entropy', 'Execute rate', ...(hasTau ? ['τ'] : [])], rows))
  }
}

function plotsOf(stage: Stage, target: number): Plot[] {
  const { decides } = STAGES[stage]
  const crossEntropy: Line = { name: 'cross-entropy', value: (step) => step.crossEntropy }
  const rate: Line = { name: 'share of sublayers that executes', value: (step) => step.executeRate }
  const temperature: Line = { name: 'of the decisions', value: ({ tau }) => tau }
  return [
    {
      name: 'Loss',
      lines: decides ? [crossEntropy, { name: decides.besides, value: ({ loss }) => loss }] : [crossEntropy],
    },
    { name: 'Execute rate', lines: [rate], ...(decides && { target: 1 - target }) },
    ...(decides?.hasTau ? [{ name: 'Temperature τ', lines: [temperature] }] : []),
  ]
}

function key({ lines, target }: Plot): HTMLElement {
  const list = create('ul', { className: 'map-legend' })
  const classes = lines.map((_, i) => `line line-${i}`)
  const names = lines.map(({ name }) => name)
  if (target !== undefined) {
    classes.push('dense')
    names.push('target')
  }
  for (const [i, name] of names.entries()) {
    const item = create('li')
    const mark = svg('svg', { viewBox: '0 0 24 8', width: 24, height: 8, 'aria-hidden': 'true' })
    mark.append(svg('path', { class: classes[i] ?? '', d: 'M0 4H24' }))
    item.append(mark, create('span', { text: name }))
    list.append(item)
  }
  return list
}

/** The gist in words, for those who do not see the lines. */
export function describe({ name, lines, target }: Plot, steps: readonly TuneStep[]): string {
  const [first, last] = [steps[0], steps.at(-1)]
  if (!first || !last) return `${name}: no step is done yet.`
  const said = lines.map((line) => {
    return `${line.name} from ${line.value(first).toFixed(DIGITS)} to ${line.value(last).toFixed(DIGITS)}`
  })
  const aim = target === undefined ? '' : `; the target is ${target.toFixed(DIGITS)}`
  return `${name} after step ${last.step + 1}: ${said.join(', ')}${aim}.`
}

function drawing(plot: Plot, steps: readonly TuneStep[], total: number): SVGSVGElement {
  const { lines, target } = plot
  const x = scale([1, total], LEFT, WIDTH - RIGHT)
  const values = lines.flatMap((line) => steps.map((step) => line.value(step)))
  const y = scale(target === undefined ? values : [...values, target], HEIGHT - BOTTOM, TOP)
  const root = svg('svg', { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, role: 'img', 'aria-label': describe(plot, steps) })
  for (const tick of x.ticks.filter(Number.isInteger)) {
    root.append(svg('text', { x: x.at(tick), y: HEIGHT - BOTTOM + 16, class: 'axis middle' }, String(tick)))
  }
  for (const tick of y.ticks) {
    const at = y.at(tick)
    root.append(
      svg('path', { class: 'grid', d: `M${LEFT} ${at}H${WIDTH - RIGHT}` }),
      svg('text', { x: LEFT - 6, y: at + 4, class: 'axis end' }, String(tick)),
    )
  }
  root.append(svg('text', { x: (LEFT + WIDTH - RIGHT) / 2, y: HEIGHT - 4, class: 'axis middle' }, 'steps'))
  if (target !== undefined) root.append(svg('path', { class: 'dense', d: `M${LEFT} ${y.at(target)}H${WIDTH - RIGHT}` }))
  for (const [i, line] of lines.entries()) {
    const points = steps.map((step) => `${x.at(step.step + 1).toFixed(1)} ${y.at(line.value(step)).toFixed(1)}`)
    if (points.length > 0) root.append(svg('path', { class: `line line-${i}`, d: `M${points.join('L')}` }))
  }
  return root
}
