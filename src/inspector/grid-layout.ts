/** Where the grid's cells are, in CSS pixels of its content: columns are positions, rows sublayers, both from 0. */

/** Widths of a column that the user chooses from. */
export const COLUMN_WIDTHS = [4, 8, 12, 18] as const
/** Space for layer numbers on the left, and for tokens and positions on top. They stay in view. */
export const GUTTER = 46
export const TICKS_HEIGHT = 22
const LABELS = 74
/** Browsers lay nothing out beyond about 17 million pixels. */
const MAX_WIDTH = 15e6
/** Token texts are written where a column is as wide as a line of them. */
const LABELLED_WIDTH = 12

export interface GridLayout {
  readonly columns: number
  readonly rows: number
  readonly columnWidth: number
  readonly rowHeight: number
  /** Height of the head with positions and, where there is room, texts. */
  readonly head: number
  readonly labelled: boolean
  readonly width: number
  readonly height: number
}

export function gridLayout(columns: number, rows: number, wantedWidth: number, wantedHeight?: number): GridLayout {
  const columnWidth = Math.min(wantedWidth, MAX_WIDTH / Math.max(1, columns))
  const rowHeight =
    wantedHeight ?? Math.max(Math.min(columnWidth, 6), Math.min(14, columnWidth, Math.floor(460 / rows)))
  const labelled = columnWidth >= LABELLED_WIDTH
  const head = TICKS_HEIGHT + (labelled ? LABELS : 0)
  return {
    columns,
    rows,
    columnWidth,
    rowHeight,
    head,
    labelled,
    width: GUTTER + columns * columnWidth,
    height: head + rows * rowHeight,
  }
}

/** First and last index, the latter excluded, of what is in view. */
export interface Range {
  readonly first: number
  readonly end: number
}

export interface Viewport {
  readonly left: number
  readonly top: number
  readonly width: number
  readonly height: number
}

/** The columns and rows of which at least a part is in view, beside the gutter and below the head. */
export function visibleCells(layout: GridLayout, view: Viewport): { columns: Range; rows: Range } {
  return {
    columns: visible(view.left, view.width - GUTTER, layout.columnWidth, layout.columns),
    rows: visible(view.top, view.height - layout.head, layout.rowHeight, layout.rows),
  }
}

/** The cell under a point of the viewport; undefined beside the columns. A point in the head has no row. */
export function cellAt(
  layout: GridLayout,
  view: Viewport,
  x: number,
  y: number,
): { column: number; row: number | undefined } | undefined {
  const column = Math.floor((x - GUTTER + view.left) / layout.columnWidth)
  if (x < GUTTER || column < 0 || column >= layout.columns) return undefined
  const row = Math.floor((y - layout.head + view.top) / layout.rowHeight)
  return { column, row: y < layout.head || row >= layout.rows ? undefined : row }
}

/** The scroll offset nearest to the present one that brings a column, or row, fully into view. */
export function scrollToShow(index: number, size: number, offset: number, room: number): number {
  const start = index * size
  if (start < offset) return start
  return start + size > offset + room ? start + size - room : offset
}

function visible(offset: number, room: number, size: number, count: number): Range {
  const first = Math.max(0, Math.min(count, Math.floor(offset / size)))
  return { first, end: Math.max(first, Math.min(count, Math.ceil((offset + Math.max(0, room)) / size))) }
}
