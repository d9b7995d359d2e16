import { svg } from '../compare/svg.js'
import { scrollBox, table } from '../compare/table.js'
import { create } from '../dom.js'
import { percent } from '../format.js'

const WIDTH = 640
const LEFT = 72
const HEIGHT = 56
const GAP = 26
/** Layers that have a number below. */
const NUMBERS = 16

const KINDS = [
  { name: 'Attention', className: 'bar-attention', of: 0 },
  { name: 'MLP', className: 'bar-mlp', of: 1 },
]

/** The share of tokens that executed each sublayer in a step, as bars, and as a table. */
export class RatesView {
  readonly #box = create('div')
  readonly #rows = scrollBox('Execute rates')

  constructor(root: HTMLElement) {
    const figure = create('figure', { className: 'rates' })
    const details = create('details')
    details.append(create('summary', { text: 'The bars as a table' }), this.#rows)
    const caption = create('figcaption')
    caption.append(
      create('h3', { text: 'Execute rate per layer and kind' }),
      create('p', { className: 'hint', text: 'Share of the last step’s tokens that ran it; a full bar is all.' }),
    )
    figure.append(caption, this.#box, details)
    root.replaceChildren(figure)
  }

  /** `rates`: one for each sublayer, attention before MLP. */
  show(rates: readonly number[]): void {
    this.#box.replaceChildren(drawing(rates))
    const rows = Array.from({ length: rates.length / 2 }, (_, layer) => [
      String(layer),
      ...KINDS.map(({ of }) => percent(rates[2 * layer + of] ?? 0)),
    ])
    this.#rows.replaceChildren(table(['Layer', ...KINDS.map(({ name }) => name)], rows))
  }
}

function drawing(rates: readonly number[]): SVGSVGElement {
  const layers = rates.length / 2
  const height = 2 * (HEIGHT + GAP)
  const label = KINDS.map(({ name, of }) => {
    const own = rates.filter((_, i) => i % 2 === of)
    const mean = own.reduce((sum, rate) => sum + rate, 0) / layers
    return `${name}: ${percent(mean)} on average, from ${percent(Math.min(...own))} to ${percent(Math.max(...own))}`
  }).join('. ')
  const root = svg('svg', { viewBox: `0 0 ${WIDTH} ${height}`, role: 'img', 'aria-label': `${label}.` })
  const width = (WIDTH - LEFT) / layers
  const every = Math.ceil(layers / NUMBERS)
  for (const { name, className, of } of KINDS) {
    const bottom = (of + 1) * HEIGHT + of * GAP
    root.append(svg('text', { x: 0, y: bottom - HEIGHT / 2 + 4, class: 'axis' }, name))
    for (let layer = 0; layer < layers; layer++) {
      const rate = rates[2 * layer + of] ?? 0
      const x = LEFT + layer * width + 1
      const shape = { x, width: width - 2 }
      const bar = svg('rect', { ...shape, y: bottom - rate * HEIGHT, height: rate * HEIGHT, class: className })
      bar.append(svg('title', {}, `${name} ${layer}: ${percent(rate)}`))
      root.append(svg('rect', { ...shape, y: bottom - HEIGHT, height: HEIGHT, class: 'bar-frame' }), bar)
      if (layer % every > 0) continue
      root.append(svg('text', { x: x + width / 2 - 1, y: bottom + 14, class: 'axis middle' }, String(layer)))
    }
  }
  return root
}
