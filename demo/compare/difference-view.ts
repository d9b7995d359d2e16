import { create } from '../dom.js'
import { count, percent } from '../format.js'
import { CELLS, type Cell, type Difference, sublayerName, totals } from './difference.js'
import { svg } from './svg.js'
import { scrollBox, table } from './table.js'

/** Side of a cell, and what its mark leaves free around it. */
const SIDE = 10
const LABEL = 64
const TOP = 16

/** A mark for each state in a 10 × 10 cell at x, y: their shapes differ, not only their colours. */
const MARKS: Readonly<Record<Cell, (x: number, y: number) => string>> = {
  both: (x, y) => `M${x + 1} ${y + 1}h8v8h-8z`,
  neither: (x, y) => `M${x + 4} ${y + 4}h2v2h-2z`,
  first: (x, y) => `M${x} ${y + 1}h10l-5 8z`,
  this: (x, y) => `M${x} ${y + 9}h10l-5 -8z`,
}

const MEANING: Readonly<Record<Cell, string>> = {
  both: 'both ran',
  neither: 'both skipped',
  first: 'only setting 1 ran',
  this: 'only this setting ran',
}

/** What the marks mean. */
export function legend(): HTMLElement {
  const list = create('ul', { className: 'map-legend' })
  for (const state of CELLS) {
    const item = create('li')
    const mark = svg('svg', { viewBox: '0 0 10 10', width: 12, height: 12, 'aria-hidden': 'true' })
    mark.append(svg('path', { class: `cell-${state}`, d: MARKS[state](0, 0) }))
    item.append(mark, create('span', { text: MEANING[state] }))
    list.append(item)
  }
  return list
}

/** A map of tokens × sublayers, and the same as words and as a table. */
export function differenceFigure(title: string, map: Difference, promptTokens: number): HTMLElement {
  const figure = create('figure', { className: 'map' })
  const summary = summarise(map)
  const box = scrollBox(`Map of decisions: ${title}`)
  box.append(drawing(map, promptTokens, `${title}. ${summary}`))
  const caption = create('figcaption')
  caption.append(create('h3', { text: title }), create('p', { className: 'hint', text: summary }))
  figure.append(caption, box, countsTable(title, map))
  return figure
}

export function summarise(map: Difference): string {
  const sum = totals(map)
  const all = sum.both + sum.neither + sum.first + sum.this
  if (all === 0) return 'There is nothing to compare.'
  const shares = CELLS.map((state) => `${MEANING[state]} ${percent(sum[state] / all)}`)
  return `${count(map.tokens, 'token')} of setting 1’s text, prompt included: ${shares.join(', ')}.`
}

function drawing(map: Difference, promptTokens: number, label: string): SVGSVGElement {
  const width = LABEL + map.tokens * SIDE + 2
  const height = TOP + map.rows.length * SIDE + 2
  const root = svg('svg', { viewBox: `0 0 ${width} ${height}`, width, height, role: 'img', 'aria-label': label })
  // A path for each state and not an element for each cell: long texts have ten thousands of cells.
  const paths: Record<Cell, string[]> = { both: [], neither: [], first: [], this: [] }
  for (const [r, row] of map.rows.entries()) {
    for (const [t, state] of row.entries()) paths[state].push(MARKS[state](LABEL + t * SIDE, TOP + r * SIDE))
    if (r % 4 === 0) root.append(svg('text', { x: 0, y: TOP + r * SIDE + 9, class: 'axis' }, sublayerName(r)))
  }
  for (const state of CELLS) root.append(svg('path', { class: `cell-${state}`, d: paths[state].join('') }))
  if (promptTokens < map.tokens) {
    const x = LABEL + promptTokens * SIDE
    root.append(
      svg('path', { class: 'rule', d: `M${x} 0V${height}` }),
      svg('text', { x: x + 4, y: 11, class: 'axis' }, 'generated →'),
    )
  }
  return root
}

function countsTable(title: string, map: Difference): HTMLElement {
  const details = create('details')
  const rows = map.counts.map((row, r) => [sublayerName(r), ...CELLS.map((state) => String(row[state]))])
  const box = scrollBox(`Counts by sublayer: ${title}`)
  box.append(table(['Sublayer', ...CELLS.map((state) => MEANING[state])], rows))
  details.append(create('summary', { text: 'The map as a table' }), box)
  return details
}
