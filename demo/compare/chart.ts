import { create } from '../dom.js'
import { scale } from './scale.js'
import { svg } from './svg.js'
import { scrollBox, table } from './table.js'

export interface Series {
  readonly name: string
  readonly points: readonly { readonly x: number; readonly y: number; readonly label: string }[]
}

const WIDTH = 640
const HEIGHT = 320
const LEFT = 48
const RIGHT = 24 // half of the last number
const TOP = 12
const BOTTOM = 44

/** Lines differ in the shape of their points as well as in colour. */
const SHAPES = [
  'M-5 0a5 5 0 1 0 10 0a5 5 0 1 0 -10 0z',
  'M-4.5 -4.5h9v9h-9z',
  'M-5.5 5h11l-5.5 -10z',
  'M-6 0l6 -6l6 6l-6 6z',
  'M-5.5 -5h11l-5.5 10z',
]

/** What stands on the upright axis. */
export interface Quantity {
  /** As a heading: “Loss”. */
  readonly name: string
  /** Below the heading. */
  readonly hint: string
  readonly axis: string
  readonly digits: number
  /** What dense has, drawn as a line across. */
  readonly dense: number
}

/** Six colours and five shapes: thirty lines differ. */
const colour = (i: number) => `line-${i % 6}`

/** A quantity against the share that was skipped, and the same numbers as a table. */
export function chart(series: readonly Series[], quantity: Quantity): HTMLElement {
  const figure = create('figure', { className: 'chart' })
  const { name, hint, digits, dense } = quantity
  const caption = create('figcaption')
  caption.append(create('h3', { text: name }), create('p', { className: 'hint', text: hint }))
  const rows = series.flatMap((line) =>
    line.points.map(({ x, y, label }) => [line.name, label, `${(100 * x).toFixed(1)} %`, y.toFixed(digits)]),
  )
  const details = create('details')
  const box = scrollBox(`${name} by share to skip`)
  box.append(table(['Line', 'To skip', 'Skipped', name], [['Dense', '–', '0.0 %', dense.toFixed(digits)], ...rows]))
  details.append(create('summary', { text: 'The chart as a table' }), box)
  const plot = scrollBox(`Chart: ${name}`)
  plot.append(drawing(series, quantity))
  figure.append(caption, key(series), plot, details)
  return figure
}

/** The gist in words, for those who do not see the lines. */
export function describe(series: readonly Series[], { name, digits, dense }: Quantity): string {
  const lines = series.map((line) => {
    const values = line.points.map(({ y }) => y.toFixed(digits))
    return `${line.name}: from ${values[0]} to ${values.at(-1)}`
  })
  return `${name} as the share to skip grows. Dense: ${dense.toFixed(digits)}. ${lines.join('; ')}.`
}

function key(series: readonly Series[]): HTMLElement {
  const list = create('ul', { className: 'map-legend' })
  for (const [i, { name }] of series.entries()) {
    const item = create('li')
    const mark = svg('svg', { viewBox: '-7 -7 14 14', width: 14, height: 14, 'aria-hidden': 'true' })
    mark.append(svg('path', { class: colour(i), d: SHAPES[i % SHAPES.length] ?? '' }))
    item.append(mark, create('span', { text: name }))
    list.append(item)
  }
  return list
}

function drawing(series: readonly Series[], quantity: Quantity): SVGSVGElement {
  const points = series.flatMap((line) => line.points)
  const x = scale([0, ...points.map((point) => point.x)], LEFT, WIDTH - RIGHT)
  const y = scale([quantity.dense, ...points.map((point) => point.y)], HEIGHT - BOTTOM, TOP)
  const root = svg('svg', { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, role: 'img', 'aria-label': describe(series, quantity) })
  for (const tick of x.ticks) {
    const at = x.at(tick)
    root.append(
      svg('path', { class: 'grid', d: `M${at} ${TOP}V${HEIGHT - BOTTOM}` }),
      svg('text', { x: at, y: HEIGHT - BOTTOM + 16, class: 'axis middle' }, `${Math.round(100 * tick)} %`),
    )
  }
  for (const tick of y.ticks) {
    const at = y.at(tick)
    root.append(
      svg('path', { class: 'grid', d: `M${LEFT} ${at}H${WIDTH - RIGHT}` }),
      svg('text', { x: LEFT - 6, y: at + 4, class: 'axis end' }, String(tick)),
    )
  }
  root.append(
    svg('text', { x: (LEFT + WIDTH) / 2, y: HEIGHT - 8, class: 'axis middle' }, 'sublayers skipped'),
    svg('text', { x: 12, y: (TOP + HEIGHT - BOTTOM) / 2, class: 'axis middle upright' }, quantity.axis),
    svg('path', { class: 'dense', d: `M${LEFT} ${y.at(quantity.dense)}H${WIDTH - RIGHT}` }),
    svg('text', { x: WIDTH - RIGHT, y: y.at(quantity.dense) - 5, class: 'axis end' }, 'dense'),
  )
  for (const [i, line] of series.entries()) {
    const path = line.points.map((point, p) => `${p === 0 ? 'M' : 'L'}${x.at(point.x)} ${y.at(point.y)}`).join('')
    root.append(svg('path', { class: `line ${colour(i)}`, d: path }))
    for (const point of line.points) {
      const place = `translate(${x.at(point.x)} ${y.at(point.y)})`
      const mark = svg('path', { class: colour(i), d: SHAPES[i % SHAPES.length] ?? '', transform: place })
      mark.append(svg('title', {}, `${line.name}, ${point.label} to skip: ${point.y.toFixed(quantity.digits)}`))
      root.append(mark)
    }
  }
  return root
}
