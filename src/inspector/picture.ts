import { SkipstoneError } from '../errors.js'
import type { CellStyle } from './cell-shapes.js'
import { drawGrid } from './grid-drawing.js'
import { type GridLayout, GUTTER, gridLayout } from './grid-layout.js'
import { totalRatios } from './ratios.js'
import type { TokenStore } from './token-store.js'
import { count, percent } from './words.js'

/** Sizes of cells to try, from readable to dense. */
const CELLS = [12, 8, 4, 2, 1]
const MAX_SIDE = 16_384
const MAX_PIXELS = 64e6
/** Text is easier to read when its lines are not endless. */
const ROW_WIDTH = 1600
const HEAD = 64
const BETWEEN = 16

interface Plan {
  readonly layout: GridLayout
  readonly perBand: number
  readonly bands: number
  readonly width: number
  readonly height: number
}

/** The whole grid as a picture: a long text goes on in a further band below. @throws `unsupported` where it would be too large. */
export function drawPicture(store: TokenStore, style: CellStyle): Promise<Blob> {
  const plan = planPicture(store)
  if (!plan) {
    throw new SkipstoneError('unsupported', 'This trace is too large for a picture: export it as CSV or JSON instead.')
  }
  const canvas = document.createElement('canvas')
  canvas.width = plan.width
  canvas.height = plan.height
  const context = canvas.getContext('2d')
  if (!context) throw tooLittleMemory()
  context.fillStyle = style.colours.surface
  context.fillRect(0, 0, plan.width, plan.height)
  drawHead(context, store, style)
  const { layout, perBand } = plan
  for (let band = 0; band < plan.bands; band++) {
    const columns = Math.min(store.length, (band + 1) * perBand)
    const left = band * perBand * layout.columnWidth
    context.save()
    context.translate(0, HEAD + band * (layout.height + BETWEEN))
    const width = GUTTER + columns * layout.columnWidth - left
    const view = { left, top: 0, width, height: layout.height }
    drawGrid(context, store, { ...layout, columns }, view, style, { column: undefined, row: undefined })
    context.restore()
  }
  return new Promise((resolve, reject) => {
    canvas.toBlob((blob) => (blob ? resolve(blob) : reject(tooLittleMemory())), 'image/png')
  })
}

/** The largest cells with which the picture stays within what browsers can draw; undefined where none are small enough. */
export function planPicture(store: Pick<TokenStore, 'length' | 'sublayers'>): Plan | undefined {
  for (const cell of CELLS) {
    const layout = gridLayout(store.length, store.sublayers, cell, cell)
    for (const rowWidth of [ROW_WIDTH, MAX_SIDE / 2]) {
      const perBand = Math.max(1, Math.min(store.length, Math.floor((rowWidth - GUTTER) / cell)))
      const bands = Math.max(1, Math.ceil(store.length / perBand))
      const width = Math.max(560, GUTTER + perBand * cell + 8)
      const height = HEAD + bands * (layout.height + BETWEEN)
      if (height <= MAX_SIDE && width * height <= MAX_PIXELS) return { layout, perBand, bands, width, height }
    }
  }
  return undefined
}

function drawHead(context: CanvasRenderingContext2D, store: TokenStore, { colours, byMargin }: CellStyle): void {
  const { attention, mlp, total } = totalRatios(store)
  context.textBaseline = 'middle'
  context.fillStyle = colours.ink
  context.font = '600 14px system-ui, sans-serif'
  const size = `${count(store.length, 'token')} × ${store.sublayers} sublayers`
  context.fillText(store.title ? `${store.title}: ${size}` : size, 8, 16)
  context.font = '12px system-ui, sans-serif'
  context.fillText(`Skipped ${percent(total)}: attention ${percent(attention)}, MLP ${percent(mlp)}.`, 8, 36)
  context.fillStyle = colours.muted
  const faint = byMargin ? '; faint: the decision was close' : ''
  context.fillText(`Square: attention ran; diamond: MLP ran; dot: skipped; line above: prompt${faint}.`, 8, 54)
}

function tooLittleMemory(): SkipstoneError {
  return new SkipstoneError('out-of-memory', 'The browser had no room for the picture: close other tabs and try again.')
}
