import { lineChart } from './chart.js'
import { create, header, scrollRegion, setText } from './dom.js'
import { type RatioBin, ratiosAlong, ratiosByLayer, totalRatios } from './ratios.js'
import { Throttle } from './throttle.js'
import type { TokenStore } from './token-store.js'
import type { Subject, View } from './view.js'
import { percent } from './words.js'

const BINS = 40
/** Figures are shown this often while tokens arrive. */
const INTERVAL_MS = 300

/** How much was skipped: by layer, by kind, and along the text. */
export class RatiosView implements View {
  readonly root = create('div', { className: 'ratios' })
  readonly #totals = create('p', { className: 'figures' })
  readonly #layers = scrollRegion('Skipped, by layer', 'scroll layers')
  readonly #along = create('div')
  readonly #numbers = create('details')
  readonly #bins = scrollRegion('Skipped, along the text', 'scroll layers')
  #dirty = true
  readonly #throttle: Throttle

  constructor(
    private readonly subject: Subject,
    request: () => void,
  ) {
    this.#throttle = new Throttle(INTERVAL_MS, request)
    this.#numbers.append(create('summary', { text: 'The line in numbers' }), this.#bins)
    this.#numbers.addEventListener('toggle', () => this.#showBins())
    this.root.append(
      this.#totals,
      create('h3', { text: 'Skipped, by layer' }),
      this.#layers,
      create('h3', { text: 'Skipped, along the text' }),
      this.#along,
      this.#numbers,
    )
  }

  invalidate(): void {
    this.#dirty = true
  }

  reset(): void {
    this.#dirty = true
    this.#throttle.reset()
  }

  render(): void {
    if (!this.#dirty || !this.#throttle.isDue()) return
    this.#dirty = false
    const { store } = this.subject
    if (!store || store.runCount === 0) {
      setText(this.#totals, 'Nothing has run yet.')
      for (const part of [this.#layers, this.#along, this.#bins]) part.replaceChildren()
      return
    }
    const { attention, mlp, total } = totalRatios(store)
    setText(
      this.#totals,
      `Skipped in all: ${percent(total)}; of attention ${percent(attention)}, of MLPs ${percent(mlp)}.`,
    )
    this.#layers.replaceChildren(layerTable(store))
    this.#along.replaceChildren(chart(ratiosAlong(store, BINS)), lineLegend())
    this.#showBins()
  }

  showSelected(): void {}

  #showBins(): void {
    const { store } = this.subject
    if (this.#numbers.open && store) this.#bins.replaceChildren(binTable(ratiosAlong(store, BINS)))
  }
}

function layerTable(store: TokenStore): HTMLTableElement {
  const table = create('table', { className: 'bars' })
  table.append(create('caption', { className: 'visually-hidden', text: 'Share of tokens that skipped, by layer' }))
  const head = table.createTHead().insertRow()
  head.append(header('Layer', 'col'), header('Attention', 'col'), header('MLP', 'col'))
  const body = table.createTBody()
  ratiosByLayer(store).forEach(({ attention, mlp }, layer) => {
    body.insertRow().append(header(String(layer), 'row'), barCell('attention', attention), barCell('mlp', mlp))
  })
  return table
}

function barCell(kind: 'attention' | 'mlp', share: number): HTMLTableCellElement {
  const cell = create('td')
  const bar = create('span', { className: `bar bar-${kind}` })
  bar.style.setProperty('--share', share.toFixed(4))
  cell.append(bar, create('span', { className: 'number', text: percent(share) }))
  return cell
}

function chart(bins: readonly RatioBin[]): SVGSVGElement {
  const last = bins.at(-1)?.to ?? 0
  return lineChart(
    [
      { name: 'attention', values: bins.map((bin) => bin.attention) },
      { name: 'mlp', values: bins.map((bin) => bin.mlp) },
    ],
    {
      top: 1,
      topLabel: '100 %',
      first: 'position 0',
      last: `position ${last}`,
      label: 'Share of sublayers skipped along the text; the same in numbers below',
    },
  )
}

function lineLegend(): HTMLElement {
  const root = create('p', { className: 'legend' })
  for (const [name, text] of [
    ['attention', 'attention, solid line'],
    ['mlp', 'MLP, broken line'],
  ] as const) {
    const entry = create('span')
    entry.append(create('span', { className: `line line-${name}` }), ` ${text}`)
    root.append(entry)
  }
  return root
}

function binTable(bins: readonly RatioBin[]): HTMLTableElement {
  const table = create('table')
  table.append(create('caption', { className: 'visually-hidden', text: 'Share skipped, by stretch of the text' }))
  const head = table.createTHead().insertRow()
  head.append(header('Positions', 'col'), header('Attention', 'col'), header('MLP', 'col'))
  const body = table.createTBody()
  for (const { from, to, attention, mlp } of bins) {
    const cells = [attention, mlp].map((share) => create('td', { text: percent(share) }))
    body.insertRow().append(header(from === to ? String(from) : `${from} to ${to}`, 'row'), ...cells)
  }
  return table
}
