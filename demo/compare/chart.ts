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

/** Loss against skip ratio, and the same numbers as a table. */
export function chart(series: readonly Series[]): HTMLElement {
  const figure = create('figure', { className: 'chart' })
  const caption = create('figcaption', { className: 'hint', text: describe(series) })
  const rows = series.flatMap(({ name, points }) =>
    points.map(({ x, y, label }) => [name, label, `${(100 * x).toFixed(1)} %`, y.toFixed(3)]),
  )
  const details = create('details')
  const box = scrollBox('Loss by share to skip')
  box.append(table(['Line', 'To skip', 'Skipped', 'Loss'], rows))
  details.append(create('summary', { text: 'The chart as a table' }), box)
  const plot = scrollBox('Chart of loss against skipping')
  plot.append(drawing(series))
  figure.append(caption, key(series), plot, details)
  return figure
}

/** The gist in words, for those who do not see the lines. */
export function describe(series: readonly Series[]): string {
  const lines = series.map(({ name, points }) => {
    const losses = points.map(({ y }) => y)
    return `${name}: from ${losses[0]?.toFixed(2)} to ${losses.at(-1)?.toFixed(2)}`
  })
  return `Loss on setting 1’s text, in nats per token, as the share to skip goes from 0 to 50 %. ${lines.join('; ')}.`
}

function key(series: readonly Series[]): HTMLElement {
  const list = create('ul', { className: 'map-legend' })
  for (const [i, { name }] of series.entries()) {
    const item = create('li')
    const mark = svg('svg', { viewBox: '-7 -7 14 14', width: 14, height: 14, 'aria-hidden': 'true' })
    mark.append(svg('path', { class: `line-${i}`, d: SHAPES[i % SHAPES.length] ?? '' }))
    item.append(mark, create('span', { text: name }))
    list.append(item)
  }
  return list
}

function drawing(series: readonly Series[]): SVGSVGElement {
  const points = series.flatMap((line) => line.points)
  const x = scale([0, ...points.map((point) => point.x)], LEFT, WIDTH - RIGHT)
  const y = scale(
    points.map((point) => point.y),
    HEIGHT - BOTTOM,
    TOP,
  )
  const root = svg('svg', { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, role: 'img', 'aria-label': describe(series) })
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
    svg('text', { x: 12, y: (TOP + HEIGHT - BOTTOM) / 2, class: 'axis middle upright' }, 'loss'),
  )
  for (const [i, line] of series.entries()) {
    const path = line.points.map((point, p) => `${p === 0 ? 'M' : 'L'}${x.at(point.x)} ${y.at(point.y)}`).join('')
    root.append(svg('path', { class: `line line-${i}`, d: path }))
    for (const point of line.points) {
      const place = `translate(${x.at(point.x)} ${y.at(point.y)})`
      const mark = svg('path', { class: `line-${i}`, d: SHAPES[i % SHAPES.length] ?? '', transform: place })
      mark.append(svg('title', {}, `${line.name}, ${point.label} to skip: loss ${point.y.toFixed(3)}`))
      root.append(mark)
    }
  }
  return root
}
