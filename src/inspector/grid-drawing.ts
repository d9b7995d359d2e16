import { type CellStyle, type Drawn, drawCells, drawOrigins, drawTicks } from './cell-shapes.js'
import { type GridLayout, GUTTER, type Range, TICKS_HEIGHT, type Viewport, visibleCells } from './grid-layout.js'
import type { TokenStore } from './token-store.js'
import { tokenLabel } from './words.js'

const FONT = '10px system-ui, sans-serif'
const LABEL_FONT = '11px system-ui, sans-serif'
const LABEL_LENGTH = 11

/** The chosen column, and the chosen row in it. */
export interface Mark {
  readonly column: number | undefined
  readonly row: number | undefined
}

/** Draws what is in view of the grid, at the context's origin. The head and the gutter stay where they are. */
export function drawGrid(
  context: CanvasRenderingContext2D,
  store: TokenStore,
  layout: GridLayout,
  view: Viewport,
  style: CellStyle,
  mark: Mark,
): Drawn {
  const { colours } = style
  const { columns, rows } = visibleCells(layout, view)
  const x = GUTTER - view.left
  const y = layout.head - view.top
  context.font = FONT
  context.textBaseline = 'middle'
  context.fillStyle = colours.surface
  context.fillRect(0, 0, view.width, view.height)
  drawBands(context, layout, { rows, x, y, width: view.width }, colours.band)

  clipped(context, [GUTTER, layout.head, view.width - GUTTER, view.height - layout.head], () => {
    if (mark.column === undefined) return
    context.fillStyle = colours.line
    context.fillRect(x + mark.column * layout.columnWidth - 1, y, layout.columnWidth + 1, rows.end * layout.rowHeight)
  })
  let drawn: Drawn = { cells: 0 }
  clipped(context, [GUTTER, layout.head, view.width - GUTTER, view.height - layout.head], () => {
    drawn = drawCells(context, store, layout, { columns, rows, x, y }, style)
  })
  clipped(context, [GUTTER, 0, view.width - GUTTER, view.height], () => {
    if (layout.labelled) drawLabels(context, store, layout, { columns, x, mark }, style)
    drawTicks(context, layout, { columns, x, y: layout.head - TICKS_HEIGHT }, colours)
    const bottom = Math.min(view.height, layout.head + layout.rows * layout.rowHeight - view.top)
    drawOrigins(context, store, layout, { columns, x, y: layout.head, height: bottom - layout.head }, colours)
    drawMark(context, layout, mark, { x, y, bottom }, style)
  })
  clipped(context, [0, layout.head, GUTTER, view.height - layout.head], () => {
    drawLayers(context, layout, { rows, y }, style)
  })
  context.fillStyle = colours.muted
  context.textAlign = 'left'
  context.fillText('layer', 4, layout.head - 8)
  return drawn
}

function clipped(
  context: CanvasRenderingContext2D,
  [x, y, width, height]: readonly [number, number, number, number],
  draw: () => void,
): void {
  context.save()
  context.beginPath()
  context.rect(x, y, Math.max(0, width), Math.max(0, height))
  context.clip()
  draw()
  context.restore()
}

/** Every second layer has a ground of its own, which keeps an eye on its row. */
function drawBands(
  context: CanvasRenderingContext2D,
  layout: GridLayout,
  at: { rows: Range; x: number; y: number; width: number },
  colour: string,
): void {
  const right = Math.min(at.width, at.x + layout.columns * layout.columnWidth)
  context.fillStyle = colour
  for (let row = at.rows.first - (at.rows.first % 4); row < at.rows.end; row += 4) {
    const top = Math.max(layout.head, at.y + row * layout.rowHeight)
    context.fillRect(0, top, right, at.y + (row + 2) * layout.rowHeight - top)
  }
}

/** Texts of tokens, upright above their columns. */
function drawLabels(
  context: CanvasRenderingContext2D,
  store: TokenStore,
  layout: GridLayout,
  at: { columns: Range; x: number; mark: Mark },
  { colours }: CellStyle,
): void {
  context.save()
  context.textAlign = 'left'
  for (let column = at.columns.first; column < at.columns.end; column++) {
    const token = store.token(column)
    const chosen = column === at.mark.column
    context.font = chosen || token.origin === 'prompt' ? `600 ${LABEL_FONT}` : LABEL_FONT
    context.fillStyle = token.special || token.text === undefined ? colours.muted : colours.ink
    const label = Array.from(tokenLabel(token))
    const bottom = layout.head - TICKS_HEIGHT - 4
    const text = label.length > LABEL_LENGTH ? `${label.slice(0, LABEL_LENGTH - 1).join('')}…` : label.join('')
    context.save()
    context.translate(at.x + (column + 0.5) * layout.columnWidth, bottom)
    context.rotate(-Math.PI / 2)
    // Wide letters are condensed.
    context.fillText(text, 0, 0, bottom - 2)
    context.restore()
  }
  context.restore()
}

function drawMark(
  context: CanvasRenderingContext2D,
  layout: GridLayout,
  { column, row }: Mark,
  at: { x: number; y: number; bottom: number },
  { colours }: CellStyle,
): void {
  if (column === undefined) return
  const left = at.x + column * layout.columnWidth
  context.strokeStyle = colours.accent
  context.lineWidth = 2
  context.strokeRect(left - 1, layout.head - 1, layout.columnWidth + 1, at.bottom - layout.head)
  const top = row === undefined ? Number.NEGATIVE_INFINITY : at.y + row * layout.rowHeight
  if (top >= layout.head - 1) context.strokeRect(left - 4, top - 2, layout.columnWidth + 7, layout.rowHeight + 3)
}

/** Numbers of layers, as many as have room, and the letters of their two rows. */
function drawLayers(
  context: CanvasRenderingContext2D,
  layout: GridLayout,
  at: { rows: Range; y: number },
  { colours }: CellStyle,
): void {
  const layerHeight = 2 * layout.rowHeight
  const every = [1, 2, 4, 8, 16, 32, 64].find((n) => n * layerHeight >= 11) ?? 64
  const letters = layout.rowHeight >= 11
  for (let row = at.rows.first - (at.rows.first & 1); row < at.rows.end; row += 2) {
    const top = at.y + row * layout.rowHeight
    const layer = row >> 1
    if (layer % every === 0) {
      context.fillStyle = colours.ink
      context.textAlign = 'right'
      context.fillText(String(layer), letters ? GUTTER - 20 : GUTTER - 6, top + layout.rowHeight)
    }
    if (!letters) continue
    context.textAlign = 'center'
    for (const [i, letter, colour] of [
      [0, 'A', colours.attention],
      [1, 'M', colours.mlp],
    ] as const) {
      context.fillStyle = colour
      context.fillText(letter, GUTTER - 9, top + (i + 0.5) * layout.rowHeight)
    }
  }
}
