import type { ColourProbes } from './colours.js'
import { create, createButton, createSvg, setOn, setText } from './dom.js'
import { drawGrid } from './grid-drawing.js'
import { COLUMN_WIDTHS, cellAt, type GridLayout, GUTTER, gridLayout, scrollToShow } from './grid-layout.js'
import type { Subject, View } from './view.js'
import { sublayerWords, tokenLabel } from './words.js'

/** Tokens × sublayers on a canvas as large as the part that is in view, however long the text is. */
export class GridView implements View {
  readonly root = create('div', { className: 'grid' })
  readonly #scroller = create('div', { className: 'grid-scroller' })
  readonly #spacer = create('div', { className: 'grid-spacer' })
  readonly #canvas = create('canvas')
  readonly #readout = create('p', { className: 'readout' })
  readonly #margins = create('label', { className: 'check' })
  readonly #byMargin = create('input')
  readonly #zoomOut = createButton('−', () => this.#zoom(-1), 'Smaller cells')
  readonly #zoomIn = createButton('+', () => this.#zoom(1), 'Larger cells')
  #width = 2
  /** Whether the end is kept in view: until the reader scrolls away from it. */
  #follows = true
  #row: number | undefined
  #hovered: { column: number; row: number | undefined } | undefined

  constructor(
    private readonly subject: Subject,
    private readonly probes: ColourProbes,
    /** Asks for a render in the next frame. */
    private readonly request: () => void,
  ) {
    this.#byMargin.type = 'checkbox'
    this.#byMargin.addEventListener('change', request)
    this.#margins.append(this.#byMargin, ' Faint where the decision was close')
    this.#margins.hidden = true
    const tools = create('div', { className: 'tools' })
    tools.append(legend(), this.#margins, this.#zoomOut, this.#zoomIn)

    // A screen reader hands the arrow keys on only to what says that it handles them.
    this.#scroller.setAttribute('role', 'application')
    this.#scroller.setAttribute('aria-roledescription', 'grid of decisions')
    this.#scroller.tabIndex = 0
    this.#scroller.addEventListener('keydown', (event) => this.#onKey(event))
    this.#scroller.addEventListener('scroll', () => this.#onScroll())
    this.#canvas.setAttribute('aria-hidden', 'true')
    this.#canvas.addEventListener('click', (event) => this.#onClick(event))
    this.#canvas.addEventListener('pointermove', (event) => this.#onHover(event))
    this.#canvas.addEventListener('pointerleave', () => {
      this.#hovered = undefined
      this.#showReadout()
    })
    this.#spacer.append(this.#canvas)
    this.#scroller.append(this.#spacer)
    this.root.append(tools, this.#scroller, this.#readout)
    new ResizeObserver(request).observe(this.#scroller)
  }

  /** Whether cells are drawn by margin now. */
  get byMargin(): boolean {
    return this.#byMargin.checked && this.subject.store?.hasMargins === true
  }

  invalidate(): void {}

  reset(live: boolean): void {
    this.#follows = live
    this.#row = undefined
    this.#hovered = undefined
    this.#scroller.scrollTo(0, 0)
  }

  render(): void {
    const { store } = this.subject
    const layout = this.#layout()
    this.#margins.hidden = !store?.hasMargins
    this.#scroller.hidden = store === undefined
    setOn(this.#zoomOut, this.#width > 0)
    setOn(this.#zoomIn, this.#width < COLUMN_WIDTHS.length - 1)
    this.#scroller.setAttribute('aria-label', `${layout.columns} tokens by ${layout.rows} sublayers`)
    this.#spacer.style.setProperty('width', `${layout.width}px`)
    this.#spacer.style.setProperty('height', `${layout.height}px`)
    if (this.#follows) this.#scroller.scrollLeft = layout.width
    this.#draw(layout)
    this.#showReadout()
  }

  showSelected(): void {
    const { selected } = this.subject
    if (selected === undefined) return
    const layout = this.#layout()
    const { clientWidth, clientHeight } = this.#scroller
    const { columnWidth, rowHeight, head } = layout
    const left = scrollToShow(selected, columnWidth, this.#scroller.scrollLeft, clientWidth - GUTTER)
    const top =
      this.#row === undefined
        ? this.#scroller.scrollTop
        : scrollToShow(this.#row, rowHeight, this.#scroller.scrollTop, clientHeight - head)
    this.#scroller.scrollTo({ left, top, behavior: 'instant' })
    this.request()
  }

  #layout(): GridLayout {
    const { store } = this.subject
    return gridLayout(store?.length ?? 0, store?.sublayers ?? 0, COLUMN_WIDTHS[this.#width] ?? 12)
  }

  #draw(layout: GridLayout): void {
    const { store, selected } = this.subject
    const context = this.#canvas.getContext('2d')
    const { clientWidth: width, clientHeight: height, scrollLeft: left, scrollTop: top } = this.#scroller
    if (!store || !context || width === 0 || height === 0) return
    const ratio = window.devicePixelRatio
    const pixels = [Math.round(width * ratio), Math.round(height * ratio)] as const
    if (this.#canvas.width !== pixels[0] || this.#canvas.height !== pixels[1]) {
      ;[this.#canvas.width, this.#canvas.height] = pixels
      this.#canvas.style.setProperty('width', `${width}px`)
      this.#canvas.style.setProperty('height', `${height}px`)
    }
    context.setTransform(ratio, 0, 0, ratio, 0, 0)
    const drawn = drawGrid(
      context,
      store,
      layout,
      { left, top, width, height },
      { colours: this.probes.colours, byMargin: this.byMargin },
      { column: selected, row: this.#row },
    )
    this.#canvas.dataset.cells = String(drawn.cells)
  }

  #zoom(by: number): void {
    this.#width = Math.max(0, Math.min(COLUMN_WIDTHS.length - 1, this.#width + by))
    this.render()
    if (!this.#follows) this.showSelected()
  }

  #onScroll(): void {
    const { scrollLeft, clientWidth, scrollWidth } = this.#scroller
    this.#follows = scrollLeft + clientWidth > scrollWidth - 24
    this.request()
  }

  #cell(event: MouseEvent): { column: number; row: number | undefined } | undefined {
    const { scrollLeft: left, scrollTop: top, clientWidth: width, clientHeight: height } = this.#scroller
    return cellAt(this.#layout(), { left, top, width, height }, event.offsetX, event.offsetY)
  }

  #onClick(event: MouseEvent): void {
    const cell = this.#cell(event)
    if (!cell) return
    this.#row = cell.row
    this.subject.select(cell.column)
    this.request()
  }

  #onHover(event: MouseEvent): void {
    this.#hovered = this.#cell(event)
    this.#showReadout()
  }

  /** What is under the pointer, or else what is chosen. */
  #showReadout(): void {
    const { store, selected } = this.subject
    const cell = this.#hovered ?? (selected === undefined ? undefined : { column: selected, row: this.#row })
    if (!store || !cell || cell.column >= store.length) {
      setText(this.#readout, 'Point at a cell to read it. Tap a token, or use the arrow keys here, to see all it ran.')
      return
    }
    const words = cell.row === undefined ? '' : `; ${sublayerWords(store, cell.column, cell.row)}`
    setText(this.#readout, `Position ${cell.column}, “${tokenLabel(store.token(cell.column))}”${words}`)
  }

  #onKey(event: KeyboardEvent): void {
    const { store, selected } = this.subject
    if (!store || store.length === 0 || event.ctrlKey || event.altKey || event.metaKey) return
    const across = { ArrowLeft: -1, ArrowRight: 1, Home: -Infinity, End: Infinity }[event.key]
    const down = { ArrowUp: -1, ArrowDown: 1 }[event.key]
    if (across === undefined && down === undefined) return
    event.preventDefault()
    if (across !== undefined) {
      const from = selected ?? (across > 0 && across < Infinity ? -1 : across < 0 ? store.length : 0)
      this.subject.select(Math.max(0, Math.min(store.length - 1, from + across)))
    } else {
      this.#moveRow(down ?? 0, store.sublayers)
    }
    this.showSelected()
  }

  /** To another sublayer of the chosen token, or of the first in view. */
  #moveRow(by: number, rows: number): void {
    const first = Math.ceil(this.#scroller.scrollLeft / this.#layout().columnWidth)
    const column = this.subject.selected ?? first
    this.#row = Math.max(0, Math.min(rows - 1, (this.#row ?? (by > 0 ? -1 : rows)) + by))
    this.subject.select(column)
    if (this.subject.store) this.subject.say(sublayerWords(this.subject.store, column, this.#row))
  }
}

function legend(): HTMLElement {
  const root = create('p', { className: 'legend' })
  for (const [glyph, text] of [
    ['attention', 'attention ran'],
    ['mlp', 'MLP ran'],
    ['skipped', 'skipped'],
    ['waiting', 'not run yet'],
    ['prompt', 'prompt'],
  ] as const) {
    const entry = create('span')
    entry.append(legendGlyph(glyph), ` ${text}`)
    root.append(entry)
  }
  return root
}

function legendGlyph(kind: 'attention' | 'mlp' | 'skipped' | 'waiting' | 'prompt'): SVGElement {
  const svg = createSvg('svg', { viewBox: '0 0 12 12', class: `glyph glyph-${kind}`, 'aria-hidden': 'true' })
  const shape = {
    attention: () => createSvg('rect', { x: 1, y: 1, width: 10, height: 10 }),
    mlp: () => createSvg('path', { d: 'M6 0 12 6 6 12 0 6Z' }),
    skipped: () => createSvg('rect', { x: 5, y: 5, width: 2.5, height: 2.5 }),
    waiting: () => createSvg('rect', { x: 1, y: 1, width: 10, height: 10 }),
    prompt: () => createSvg('rect', { x: 0, y: 5, width: 12, height: 2 }),
  }[kind]()
  svg.append(shape)
  return svg
}
