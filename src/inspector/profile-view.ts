import type { ProfileResult, ProfileRow, ProfileSublayers } from '../index.js'
import { create, createSvg, header, scrollRegion } from './dom.js'
import { percent } from './words.js'

const WIDTH = 600
const HEIGHT = 110
const KINDS = ['attention', 'MLP'] as const
const TITLES = { prefill: 'The prompt', decode: 'One generated token' } as const

/** Where the time of a prompt and of a step goes, by sublayer and by kernel: bars, and the same in tables. */
export class ProfileView {
  readonly root = create('section', { className: 'profile' })

  show(profile: ProfileResult | undefined): void {
    this.root.replaceChildren(...(profile?.sublayers ?? []).flatMap((part) => phaseParts(part, profile?.rows ?? [])))
  }
}

function phaseParts(part: ProfileSublayers, rows: readonly ProfileRow[]): HTMLElement[] {
  const { phase, tokens, ms, restMs } = part
  const title = create('h3', {
    text: `${TITLES[phase]}, ${phase === 'prefill' ? `${tokens} tokens` : `at token ${tokens}`}`,
  })
  const of = (kind: 0 | 1) => ms.reduce((sum, one, sublayer) => sum + (sublayer % 2 === kind ? one : 0), 0)
  const total = of(0) + of(1) + restMs
  const share = (one: number) => percent(total > 0 ? one / total : 0)
  const sentence = create('p', {
    text: `${milliseconds(total)} on the GPU: attention (filled bars) ${share(of(0))}, MLP (outlined) ${share(of(1))}, the rest ${share(restMs)}.`,
  })
  const numbers = create('details')
  const region = scrollRegion(`${TITLES[phase]}, in numbers`, 'scroll layers')
  region.append(kernelTable(rows.filter((row) => row.phase === phase && row.tokens === tokens)), sublayerTable(ms))
  numbers.append(create('summary', { text: 'Kernels and sublayers in numbers' }), region)
  const picture = create('div')
  picture.append(bars(ms, TITLES[phase]))
  return [title, sentence, picture, numbers]
}

/** A bar for every sublayer, attention and MLP of a layer side by side. */
function bars(ms: readonly number[], title: string): SVGSVGElement {
  const svg = createSvg('svg', { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, class: 'chart', role: 'img' })
  svg.setAttribute('aria-label', `${title}: time of every sublayer; the same in numbers below`)
  const top = Math.max(...ms, 1e-6)
  const width = WIDTH / Math.max(1, ms.length)
  for (const [sublayer, one] of ms.entries()) {
    const height = (HEIGHT * one) / top
    const bar = createSvg('rect', {
      x: (sublayer * width + (sublayer % 2 === 0 ? 1 : 0)).toFixed(1),
      y: (HEIGHT - height).toFixed(1),
      width: Math.max(0.5, width - 1).toFixed(1),
      height: height.toFixed(1),
      class: sublayer % 2 === 0 ? 'time-attention' : 'time-mlp',
    })
    const words = createSvg('title')
    words.textContent = `Layer ${sublayer >> 1}, ${KINDS[(sublayer % 2) as 0 | 1]}: ${milliseconds(one)}`
    bar.append(words)
    svg.append(bar)
  }
  return svg
}

function kernelTable(rows: readonly ProfileRow[]): HTMLTableElement {
  const cells = rows.map(({ kernel, dispatches, ms, share, ofLimit }) => [
    kernel,
    String(dispatches),
    milliseconds(ms),
    percent(share),
    ofLimit === null ? '–' : percent(ofLimit),
  ])
  return table('Kernels', ['Kernel', 'Runs', 'Time', 'Share', 'Of the limit'], cells)
}

function sublayerTable(ms: readonly number[]): HTMLTableElement {
  const layers = Array.from({ length: Math.ceil(ms.length / 2) }, (_, layer) => layer)
  const cells = layers.map((layer) => [String(layer), ...ms.slice(2 * layer, 2 * layer + 2).map(milliseconds)])
  return table('Sublayers', ['Layer', 'Attention', 'MLP'], cells)
}

/** The first cell of a row names it. */
function table(caption: string, columns: readonly string[], rows: readonly (readonly string[])[]): HTMLTableElement {
  const result = create('table')
  result.append(create('caption', { text: caption }))
  result
    .createTHead()
    .insertRow()
    .append(...columns.map((one) => header(one, 'col')))
  const body = result.createTBody()
  for (const [name = '', ...cells] of rows)
    body.insertRow().append(header(name, 'row'), ...cells.map((text) => create('td', { text })))
  return result
}

function milliseconds(ms: number): string {
  return `${ms < 10 ? ms.toFixed(3) : ms.toFixed(1)} ms`
}
