import { create, setText } from './dom.js'
import type { ShownToken, TokenStore } from './token-store.js'
import type { Subject, View } from './view.js'
import { count, percent } from './words.js'

/** Levels of tint. */
const LEVELS = 4
/** More spans than this would make a page slow; the grid shows texts of any length. */
const MOST = 20_000

/** The text, one span a token. Tokens are only added and marked, so that long texts stay smooth. */
export class TextView implements View {
  readonly root = create('div', { className: 'text-view' })
  readonly #text = create('section', { className: 'text' })
  readonly #note = create('p', { className: 'hint' })
  readonly #spans: HTMLSpanElement[] = []
  /** Tokens whose spans are up to date. */
  #clean = 0
  #marked: HTMLSpanElement | undefined
  #follows = true

  constructor(private readonly subject: Subject) {
    this.#text.tabIndex = 0
    this.#text.setAttribute('aria-label', 'Text')
    this.#text.addEventListener('click', (event) => {
      const span = event.target instanceof Element ? event.target.closest<HTMLElement>('[data-position]') : null
      if (span) this.subject.select(Number(span.dataset.position))
    })
    this.#text.addEventListener('keydown', (event) => this.#onKey(event))
    this.#text.addEventListener('scroll', () => {
      this.#follows = this.#text.scrollTop + this.#text.clientHeight > this.#text.scrollHeight - 48
    })
    this.root.append(legend(), this.#text, this.#note)
  }

  invalidate(first: number): void {
    this.#clean = Math.min(this.#clean, first)
  }

  reset(live: boolean): void {
    this.#clean = 0
    for (const span of this.#spans.splice(0)) span.remove()
    this.#follows = live
  }

  render(): void {
    const { store, selected } = this.subject
    const length = Math.min(store?.length ?? 0, MOST)
    for (const span of this.#spans.splice(length)) span.remove()
    if (store && this.#clean < length) this.#write(store, this.#clean, length)
    this.#clean = length
    const all = store?.length ?? 0
    setText(
      this.#note,
      all > MOST
        ? `These are the first ${count(MOST, 'token')} of ${count(all, 'token')}; the grid shows all.`
        : 'Tap a token, or use the arrow keys here, to see what it ran. The prompt’s tokens are bold.',
    )
    this.#mark(selected === undefined ? undefined : this.#spans[selected])
    if (this.#follows) this.#text.scrollTop = this.#text.scrollHeight
  }

  showSelected(): void {
    this.#marked?.scrollIntoView({ block: 'nearest', behavior: 'instant' })
  }

  #write(store: TokenStore, from: number, to: number): void {
    const fresh = document.createDocumentFragment()
    for (let position = from; position < to; position++) {
      let span = this.#spans[position]
      if (!span) {
        span = create('span')
        span.dataset.position = String(position)
        this.#spans[position] = span
        fresh.append(span)
      }
      dress(span, store, store.token(position))
    }
    this.#text.append(fresh)
  }

  #mark(span: HTMLSpanElement | undefined): void {
    this.#marked?.classList.remove('selected')
    this.#marked = span
    span?.classList.add('selected')
  }

  #onKey(event: KeyboardEvent): void {
    const { store, selected } = this.subject
    const by = { ArrowLeft: -1, ArrowRight: 1, Home: -Infinity, End: Infinity }[event.key]
    if (by === undefined || !store || store.length === 0 || event.ctrlKey || event.altKey || event.metaKey) return
    event.preventDefault()
    const last = Math.min(store.length, MOST) - 1
    const from = selected ?? (by === 1 ? -1 : by === Infinity ? 0 : last + 1)
    this.subject.select(Math.max(0, Math.min(last, from + by)))
    this.render()
    this.showSelected()
  }
}

/** The tint says the share in five steps, the height of the bar exactly. */
function dress(span: HTMLSpanElement, store: TokenStore, token: ShownToken): void {
  const { text, id, origin, special, ran, position } = token
  setText(span, text === undefined ? `#${id} ` : text === '' ? '◌' : text)
  const classes = ['token']
  if (origin === 'prompt') classes.push('prompt')
  if (special || text === '' || text === undefined) classes.push('special')
  if (text?.startsWith('\n')) classes.push('break')
  if (!ran) classes.push('waiting')
  if (span.classList.contains('selected')) classes.push('selected')
  span.className = classes.join(' ')
  if (!ran) {
    delete span.dataset.level
    span.style.removeProperty('--ran')
    span.title = 'not run yet'
    return
  }
  const share = store.countRan(position) / store.sublayers
  span.dataset.level = String(Math.round(LEVELS * share))
  span.style.setProperty('--ran', share.toFixed(3))
  span.title = `ran ${percent(share)}`
}

function legend(): HTMLElement {
  const root = create('p', { className: 'legend' })
  root.append(create('span', { text: 'Tint and height of the bar: the share that a token ran.' }))
  const scale = create('span')
  for (let level = 0; level <= LEVELS; level++) {
    const entry = create('span', { className: 'token', text: percent(level / LEVELS) })
    entry.dataset.level = String(level)
    entry.style.setProperty('--ran', String(level / LEVELS))
    scale.append(entry)
  }
  scale.append(create('span', { className: 'token waiting', text: 'not run yet' }))
  root.append(scale)
  return root
}
