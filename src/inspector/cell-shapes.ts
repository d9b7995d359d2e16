import type { Colours } from './colours.js'
import { type GridLayout, type Range, TICKS_HEIGHT } from './grid-layout.js'
import type { TokenStore } from './token-store.js'

/** Steps in which a margin's size is shown. */
const LEVELS = 4
const FAINTEST = 0.25

/** What a drawing did, for tests. */
export interface Drawn {
  cells: number
}

export interface CellStyle {
  readonly colours: Colours
  /** Faint where the score was close to the threshold. */
  readonly byMargin: boolean
}

/**
 * Draws the cells of some columns and rows; `x` and `y` are where column 0 and row 0 would be. One path per colour and strength, not
 * one per cell: that is what keeps a frame short.
 */
export function drawCells(
  context: CanvasRenderingContext2D,
  store: TokenStore,
  layout: GridLayout,
  cells: { columns: Range; rows: Range; x: number; y: number },
  { colours, byMargin }: CellStyle,
): Drawn {
  const { columns, rows, x, y } = cells
  const strengths = byMargin ? LEVELS : 1
  // Ran attention, ran MLP, skipped of either kind.
  const paths = Array.from({ length: 3 }, () => Array.from({ length: strengths }, () => new Path2D()))
  const scale = 2 * store.meanMargin || 1
  const shapes = cellShapes(layout)
  let drawn = 0
  for (let column = columns.first; column < columns.end; column++) {
    const left = x + column * layout.columnWidth
    if (!store.hasRun(column)) continue
    for (let row = rows.first; row < rows.end; row++) {
      const margin = byMargin ? store.margin(column, row) : undefined
      const level = margin === undefined ? strengths - 1 : Math.floor((LEVELS * Math.abs(margin)) / scale)
      const kind = (row & 1) as 0 | 1
      const ran = store.executed(column, row)
      const path = paths[ran ? kind : 2]![Math.min(strengths - 1, level)]!
      if (ran) shapes.ran[kind](path, left, y + row * layout.rowHeight)
      else shapes.skipped(path, left, y + row * layout.rowHeight)
      drawn++
    }
  }
  for (const [i, colour] of [colours.attention, colours.mlp, colours.skipped].entries()) {
    context.fillStyle = colour
    paths[i]!.forEach((path, level) => {
      context.globalAlpha = strengths === 1 ? 1 : FAINTEST + ((1 - FAINTEST) * level) / (LEVELS - 1)
      context.fill(path)
    })
  }
  context.globalAlpha = 1
  return { cells: drawn }
}

type Shape = (path: Path2D, left: number, top: number) => void

/** Attention is a square, an MLP a diamond, and what was skipped a dot: colour is not needed to tell them. */
function cellShapes({ columnWidth, rowHeight }: GridLayout): { ran: readonly [Shape, Shape]; skipped: Shape } {
  const gap = Math.min(columnWidth, rowHeight) >= 6 ? 1 : 0
  const width = columnWidth - gap
  const height = rowHeight - gap
  const square: Shape = (path, left, top) => path.rect(left, top, width, height)
  const diamond: Shape = (path, left, top) => {
    path.moveTo(left + width / 2, top)
    path.lineTo(left + width, top + height / 2)
    path.lineTo(left + width / 2, top + height)
    path.lineTo(left, top + height / 2)
    path.closePath()
  }
  const dot = Math.max(1, Math.round(Math.min(width, height) / 5))
  const skipped: Shape = (path, left, top) => path.rect(left + (width - dot) / 2, top + (height - dot) / 2, dot, dot)
  return { ran: [square, diamond], skipped }
}

/** A line above the columns of the prompt, and a broken one beside a token that was not run. */
export function drawOrigins(
  context: CanvasRenderingContext2D,
  store: TokenStore,
  layout: GridLayout,
  at: { columns: Range; x: number; y: number; height: number },
  colours: Colours,
): void {
  for (let column = at.columns.first; column < at.columns.end; column++) {
    const left = at.x + column * layout.columnWidth
    const { origin, ran } = store.token(column)
    if (origin === 'prompt') {
      context.fillStyle = colours.ink
      context.fillRect(left, at.y - 3, layout.columnWidth, 2)
    }
    if (ran) continue
    context.strokeStyle = colours.muted
    context.setLineDash([3, 3])
    context.strokeRect(left + 0.5, at.y + 0.5, Math.max(1, layout.columnWidth - 2), at.height - 1)
    context.setLineDash([])
  }
}

/** Every so many columns, so that two numbers do not touch. */
export function tickDistance(columnWidth: number): number {
  const least = 44 / columnWidth
  return (
    [5, 10, 20, 50, 100, 200, 500, 1000].find((distance) => distance >= least) ?? 10 ** Math.ceil(Math.log10(least))
  )
}

/** Positions, with a mark at each. */
export function drawTicks(
  context: CanvasRenderingContext2D,
  layout: GridLayout,
  at: { columns: Range; x: number; y: number },
  colours: Colours,
): void {
  const distance = tickDistance(layout.columnWidth)
  context.fillStyle = colours.muted
  context.textAlign = 'left'
  const first = Math.max(0, Math.floor(at.columns.first / distance) * distance)
  for (let column = first; column < at.columns.end; column += distance) {
    const left = at.x + column * layout.columnWidth
    context.fillRect(left, at.y, 1, TICKS_HEIGHT - 5)
    context.fillText(String(column), left + 4, at.y + 7)
  }
}
