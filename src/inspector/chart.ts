import { createSvg } from './dom.js'

export interface Series {
  /** Of the CSS class `series-…`. */
  readonly name: string
  /** From 0 to `top`. */
  readonly values: readonly number[]
}

const WIDTH = 600
const HEIGHT = 150
const LEFT = 44
const BOTTOM = 22
const TOP = 8

/** A line chart without interaction. Its numbers have to stand beside it in words. */
export function lineChart(
  series: readonly Series[],
  axes: { top: number; topLabel: string; first: string; last: string; label: string },
): SVGSVGElement {
  const svg = createSvg('svg', { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, class: 'chart', role: 'img' })
  svg.setAttribute('aria-label', axes.label)
  const y = (value: number) => TOP + (HEIGHT - TOP - BOTTOM) * (1 - value / (axes.top || 1))
  for (const [value, text] of [
    [0, '0'],
    [axes.top, axes.topLabel],
  ] as const) {
    svg.append(createSvg('line', { x1: LEFT, x2: WIDTH, y1: y(value), y2: y(value), class: 'axis' }))
    svg.append(label(text, LEFT - 6, y(value) + 4, 'end'))
  }
  svg.append(label(axes.first, LEFT, HEIGHT - 5, 'start'), label(axes.last, WIDTH, HEIGHT - 5, 'end'))
  for (const { name, values } of series) {
    // One value alone is a line across.
    const all = values.length === 1 ? [values[0]!, values[0]!] : values
    const x = (i: number) => LEFT + ((WIDTH - LEFT) * i) / Math.max(1, all.length - 1)
    const points = all.map((value, i) => `${x(i).toFixed(1)},${y(value).toFixed(1)}`).join(' ')
    svg.append(createSvg('polyline', { points, class: `series series-${name}` }))
  }
  return svg
}

function label(text: string, x: number, y: number, anchor: 'start' | 'end'): SVGTextElement {
  const element = createSvg('text', { x, y, 'text-anchor': anchor })
  element.textContent = text
  return element
}
