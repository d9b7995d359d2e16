import { SkipstoneError } from '../errors.js'
import type { ProfileResult, Step } from '../index.js'
import { ColourProbes } from './colours.js'
import { writeCsv } from './csv.js'
import { DecisionPanel } from './decision-panel.js'
import { create, setText } from './dom.js'
import { GridView } from './grid-view.js'
import { stepPieces, type TextSource } from './live.js'
import { drawPicture } from './picture.js'
import { totalRatios } from './ratios.js'
import { RatiosView } from './ratios-view.js'
import { Speed } from './speed.js'
import { SpeedView } from './speed-view.js'
import { styleSheet } from './style.js'
import { Tabs } from './tabs.js'
import { TextView } from './text-view.js'
import { Throttle } from './throttle.js'
import { type Piece, TokenStore } from './token-store.js'
import { TokenTable } from './token-table.js'
import { download, fileName, Toolbar } from './toolbar.js'
import { type InspectorTrace, MAX_FILE_BYTES, parseTraceText, readTrace, writeTrace } from './trace-file.js'
import type { Subject, View } from './view.js'
import { count, percent, tokenSentence } from './words.js'

const VIEWS = ['grid', 'text', 'ratios', 'speed'] as const

export type ViewName = (typeof VIEWS)[number]

/** What a text is made with. */
export interface InspectorInfo {
  /** Layers of the model: `model.config.layers`. */
  layers: number
  /** For the caption and the names of exported files. */
  title?: string
}

export interface WatchInfo extends InspectorInfo {
  /** Names the tokens: `model.text`. Without it, those of the prompt are shown as ids. */
  text?: TextSource
}

// Importing the module in Node defines a class that nobody can make.
const Base = globalThis.HTMLElement ?? (class {} as unknown as typeof HTMLElement)

/**
 * `<skip-inspector>`: shows which sublayers each token ran. Events: `select` when another token is chosen (`detail.position`), `open`
 * when a saved trace took the place of what was shown. See index.ts for the style properties.
 */
export class SkipInspector extends Base {
  static readonly observedAttributes = ['view']

  #store: TokenStore | undefined
  #speed = new Speed()
  #selected: number | undefined
  #frame = 0
  #showsSelected = false
  readonly #request = () => this.#requestFrame()
  readonly #subject: Subject = this.#makeSubject()
  readonly #probes = new ColourProbes(this.#request)
  readonly #grid = new GridView(this.#subject, this.#probes, this.#request)
  readonly #speedView = new SpeedView(this.#subject, this.#request)
  #profile: ProfileResult | undefined
  readonly #views: Readonly<Record<ViewName, View>> = {
    grid: this.#grid,
    text: new TextView(this.#subject),
    ratios: new RatiosView(this.#subject, this.#request),
    speed: this.#speedView,
  }
  readonly #tabs = new Tabs<ViewName>(
    VIEWS.map((name) => ({ name, title: TITLES[name], content: this.#views[name].root })),
    (name) => {
      this.view = name
    },
  )
  readonly #panel = new DecisionPanel(this.#subject, (by) => this.#move(by))
  readonly #table = new TokenTable(this.#subject, this.#request)
  readonly #toolbar = new Toolbar({
    json: () => this.#save(async () => this.exportJson(), 'json'),
    csv: () => this.#save(async () => this.exportCsv(), 'csv'),
    png: () => this.#save(() => this.exportPng(), 'png'),
    // What went wrong is shown here already.
    open: (file) => void this.open(file).catch(() => undefined),
  })
  readonly #caption = create('p', { className: 'caption' })
  readonly #captionThrottle = new Throttle(200, this.#request)
  readonly #alert = create('div', { className: 'notice' })
  readonly #live = create('p', { className: 'visually-hidden' })

  constructor() {
    super()
    const root = this.attachShadow({ mode: 'open' })
    root.adoptedStyleSheets = [styleSheet()]
    this.#alert.setAttribute('role', 'alert')
    this.#alert.hidden = true
    this.#live.setAttribute('aria-live', 'polite')
    const bar = create('div', { className: 'bar-row' })
    bar.append(this.#caption, this.#toolbar.root)
    const frame = create('div', { className: 'frame' })
    frame.append(bar, this.#alert, this.#tabs.list, this.#tabs.panels, this.#panel.root, this.#table.root, this.#live)
    root.append(frame, this.#probes.root)
    this.#tabs.show(this.view)
  }

  /** The view that is shown: `grid`, `text`, `ratios` or `speed`. The same as the attribute; anything else there is the grid. */
  get view(): ViewName {
    const name = this.getAttribute('view')
    return VIEWS.find((view) => view === name) ?? 'grid'
  }

  set view(name: ViewName) {
    this.setAttribute('view', name)
  }

  /**
   * Clears, and begins a text.
   * @throws `bad-option` for a number of layers that is not a whole number from 1 to 1024.
   */
  begin(info: InspectorInfo): void {
    this.#show(new TokenStore(info.layers, info.title), true)
    this.#speed.start(performance.now())
  }

  /**
   * Shows what `session.generate()` or `chat()` yields. `texts`: the text of each token of a prompt step (ids are shown otherwise).
   * Tokens at positions that exist are replaced, and those behind them forgotten.
   * @throws `bad-option` before `begin`, for a step of a model with another number of layers, and for one that leaves a gap.
   */
  push(step: Step, texts: readonly string[] = []): void {
    this.#push(
      step,
      texts.map((text) => ({ text, special: false })),
    )
  }

  /**
   * Passes a session's steps through while showing them. With `keep`, goes on with the text that is shown: for the next call on the
   * same session. Errors of the session pass through. @throws as `begin` and `push`.
   */
  async *watch(steps: AsyncIterable<Step>, info: WatchInfo, keep = false): AsyncGenerator<Step, void> {
    if (!keep || !this.#store) this.begin(info)
    else if (this.#store.layers !== info.layers) {
      throw new SkipstoneError(
        'bad-option',
        `The text that is shown comes from a model with ${this.#store.layers} layers, not ${info.layers}: leave out “keep” to begin another.`,
      )
    }
    this.#speed.start(performance.now())
    const store = this.#store
    for await (const step of steps) {
      const now = performance.now()
      // Another text may have been opened meanwhile: then this one goes on unseen.
      const pieces = store && store === this.#store ? await stepPieces(step, store, info.text) : []
      if (store === this.#store) this.#push(step, pieces, now)
      yield step
    }
  }

  /** Forgets positions from `length` on. */
  rewind(length: number): void {
    if (!this.#store) return
    this.#store.rewind(length)
    this.#changed(this.#store.length)
  }

  /** What is shown, undefined before there is anything. Assigning a saved trace opens it. @throws `bad-file` for what is no trace. */
  get trace(): InspectorTrace | undefined {
    return this.#store && writeTrace(this.#store)
  }

  set trace(file: InspectorTrace) {
    this.#openWith(() => readTrace(file))
  }

  /** What `model.profile()` found: the speed view shows where the time goes. It stays when another text is shown. */
  get profile(): ProfileResult | undefined {
    return this.#profile
  }

  set profile(profile: ProfileResult | undefined) {
    this.#profile = profile
    this.#speedView.showProfile(profile)
  }

  /** Opens a saved trace. What is wrong with it is also said in the element. @throws `bad-file` for what is no trace, or too large. */
  async open(file: Blob): Promise<void> {
    const tooLarge = file.size > MAX_FILE_BYTES
    const text = tooLarge ? '' : await file.text().catch(() => undefined)
    this.#openWith(() => {
      if (tooLarge) {
        throw new SkipstoneError(
          'bad-file',
          `The file has ${Math.ceil(file.size / 1e6)} MB, and at most ${Math.floor(MAX_FILE_BYTES / 1e6)} MB can be opened: trace a shorter text.`,
        )
      }
      if (text === undefined) throw new SkipstoneError('bad-file', 'The file cannot be read: pick it again.')
      return parseTraceText(text)
    })
  }

  /** What is shown as a file that `open` reads. @throws `bad-option` where nothing is shown. */
  exportJson(): Blob {
    return new Blob([JSON.stringify(writeTrace(this.#shown()))], { type: 'application/json' })
  }

  /** One row per position. @throws `bad-option` where nothing is shown. */
  exportCsv(): Blob {
    return new Blob([writeCsv(this.#shown())], { type: 'text/csv' })
  }

  /** The whole grid as a picture. @throws `bad-option` where nothing is shown, `unsupported` where it is too much for a picture. */
  async exportPng(): Promise<Blob> {
    return drawPicture(this.#shown(), { colours: this.#probes.colours, byMargin: this.#grid.byMargin })
  }

  /** Position of the chosen token. A position that is not there chooses none. The event `select` tells of changes. */
  get selected(): number | undefined {
    return this.#selected
  }

  set selected(position: number | undefined) {
    this.#select(position)
    this.#requestFrame(true)
  }

  connectedCallback(): void {
    this.#probes.forget()
    this.#requestFrame()
  }

  attributeChangedCallback(): void {
    this.#tabs.show(this.view)
    this.#requestFrame(true)
  }

  #makeSubject(): Subject {
    const inspector = this
    return {
      get store() {
        return inspector.#store
      },
      get speed() {
        return inspector.#speed
      },
      get selected() {
        return inspector.#selected
      },
      select: (position) => this.#select(position),
      say: (text) => setText(this.#live, text),
    }
  }

  #shown(): TokenStore {
    if (this.#store && this.#store.length > 0) return this.#store
    throw new SkipstoneError('bad-option', 'Nothing is shown yet: generate a text or open a trace first.')
  }

  #push(step: Step, pieces: readonly Piece[], now = performance.now()): void {
    if (!this.#store) throw new SkipstoneError('bad-option', 'Call begin() before push(), with the number of layers.')
    const changed = this.#store.push(step, pieces)
    this.#speed.push(step, now)
    this.#changed(changed)
  }

  #openWith(read: () => TokenStore): void {
    try {
      this.#show(read(), false)
      this.dispatchEvent(new CustomEvent('open'))
    } catch (error) {
      this.#report(error)
      throw error
    }
  }

  #show(store: TokenStore, live: boolean): void {
    this.#store = store
    this.#speed = new Speed()
    this.#alert.hidden = true
    for (const view of Object.values(this.#views)) view.reset(live)
    this.#table.reset()
    this.#captionThrottle.reset()
    this.#changed(0)
    this.#select(undefined)
  }

  #changed(first: number): void {
    for (const view of Object.values(this.#views)) view.invalidate(first)
    this.#table.invalidate()
    if (this.#selected !== undefined && this.#selected >= (this.#store?.length ?? 0)) this.#select(undefined)
    else if (this.#selected !== undefined && this.#selected >= first) this.#panel.render()
    this.#requestFrame()
  }

  #select(wanted: number | undefined): void {
    const store = this.#store
    const exists = wanted !== undefined && store && Number.isInteger(wanted) && wanted >= 0 && wanted < store.length
    const position = exists ? wanted : undefined
    const differs = position !== this.#selected
    this.#selected = position
    this.#panel.render()
    this.#requestFrame()
    if (!differs) return
    if (store && position !== undefined) setText(this.#live, tokenSentence(store, store.token(position)))
    this.dispatchEvent(new CustomEvent('select', { detail: { position } }))
  }

  #move(by: 1 | -1): void {
    const from = this.#selected ?? (by > 0 ? -1 : (this.#store?.length ?? 0))
    this.selected = from + by
  }

  /** One drawing per frame, however many tokens it brings. */
  #requestFrame(showSelected = false): void {
    this.#showsSelected ||= showSelected
    if (this.#frame !== 0 || !this.isConnected) return
    this.#frame = requestAnimationFrame(() => {
      this.#frame = 0
      this.#render()
    })
  }

  #render(): void {
    const view = this.#views[this.view]
    view.render()
    if (this.#showsSelected) view.showSelected()
    this.#showsSelected = false
    this.#table.render()
    if (this.#captionThrottle.isDue()) this.#showCaption()
  }

  #showCaption(): void {
    const store = this.#store
    this.#toolbar.setOn(store !== undefined && store.length > 0)
    if (!store) {
      setText(this.#caption, 'Nothing to show yet: generate a text, or open a trace.')
      return
    }
    const { attention, mlp, total } = totalRatios(store)
    const skipped =
      store.runCount === 0 ? '' : `; skipped ${percent(total)} (attention ${percent(attention)}, MLP ${percent(mlp)})`
    const size = `${count(store.length, 'token')} × ${store.sublayers} sublayers${skipped}`
    this.#caption.replaceChildren(...(store.title ? [create('b', { text: store.title }), ' · '] : []), size)
  }

  async #save(make: () => Promise<Blob>, extension: string): Promise<void> {
    this.#alert.hidden = true
    try {
      download(await make(), fileName(this.#store?.title ?? '', extension))
    } catch (error) {
      this.#report(error)
    }
  }

  #report(error: unknown): void {
    this.#alert.hidden = false
    setText(this.#alert, error instanceof Error ? error.message : String(error))
  }
}

const TITLES: Readonly<Record<ViewName, string>> = { grid: 'Grid', text: 'Text', ratios: 'Ratios', speed: 'Speed' }

declare global {
  interface HTMLElementTagNameMap {
    'skip-inspector': SkipInspector
  }
}

// Here, not in index.ts: a bundler that thinks the package free of side effects keeps it together with the class. A page may hold two
// copies of this module.
if (globalThis.customElements && !customElements.get('skip-inspector')) {
  customElements.define('skip-inspector', SkipInspector)
}
