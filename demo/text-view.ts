import type { Ran } from './decisions.js'
import { create } from './dom.js'
import { percent } from './format.js'

interface Placed {
  readonly id: number
  readonly span: HTMLSpanElement
}

/** Levels of tint. */
const LEVELS = 4

/** The text, one span a token. Tokens are only ever added and marked, so that long texts stay smooth. */
export class TextView {
  readonly #placed: Placed[] = []
  #selected: number | undefined
  /** Whether the end of the text is kept in view: until the reader scrolls away from it. */
  #follows = true
  #frame = 0

  /** `onSelect` gets the position of the chosen token, and undefined when it is gone. */
  constructor(
    private readonly root: HTMLElement,
    private readonly onSelect: (position: number | undefined) => void,
  ) {
    root.addEventListener('click', (event) => {
      const span = event.target instanceof Element ? event.target.closest<HTMLElement>('[data-position]') : null
      if (span) this.select(Number(span.dataset.position))
    })
    root.addEventListener('keydown', (event) => this.#onKey(event))
    root.addEventListener('scroll', () => {
      this.#follows = root.scrollTop + root.clientHeight > root.scrollHeight - 48
    })
  }

  get length(): number {
    return this.#placed.length
  }

  get ids(): number[] {
    return this.#placed.map(({ id }) => id)
  }

  /** Adds a token at the end. */
  add(id: number, text: string, origin: 'prompt' | 'generated', special = false): void {
    const position = this.#placed.length
    const span = create('span', { className: 'token waiting', text: text === '' ? '◌' : text })
    span.dataset.position = String(position)
    if (special || text === '') span.classList.add('special')
    if (origin === 'prompt') span.classList.add('prompt')
    if (text.startsWith('\n')) span.classList.add('break')
    this.#placed.push({ id, span })
    this.root.append(span)
    this.#follow()
  }

  /** Marks a token with what it ran. */
  mark(position: number, { ran, all }: Ran): void {
    const span = this.#placed[position]?.span
    if (!span) return
    span.classList.remove('waiting')
    span.dataset.level = String(Math.round((LEVELS * ran) / all))
    span.style.setProperty('--ran', (ran / all).toFixed(3))
    span.title = `ran ${ran} of ${all} sublayers (${percent(ran / all)})`
  }

  /** Text that belongs to no token of its own: what was held back to the end. */
  addRest(text: string): void {
    if (text !== '') this.root.append(text)
  }

  /** Forgets tokens from `length` on. */
  truncate(length: number): void {
    for (const { span } of this.#placed.splice(length)) span.remove()
    if (this.#selected !== undefined && this.#selected >= length) this.select(undefined)
  }

  clear(): void {
    this.truncate(0)
    this.root.replaceChildren()
    this.#follows = true
  }

  select(position: number | undefined): void {
    if (this.#selected !== undefined) this.#placed[this.#selected]?.span.classList.remove('selected')
    const placed = position === undefined ? undefined : this.#placed[position]
    this.#selected = placed && position
    placed?.span.classList.add('selected')
    this.onSelect(this.#selected)
  }

  /** Selects the token `by` further on, and shows it. */
  #move(by: number): void {
    const from = this.#selected ?? (by > 0 ? -1 : this.#placed.length)
    const to = Math.max(0, Math.min(this.#placed.length - 1, from + by))
    this.select(to)
    this.#placed[to]?.span.scrollIntoView({ block: 'nearest' })
  }

  /** Once a frame, however many tokens it brings. */
  #follow(): void {
    if (!this.#follows || this.#frame !== 0) return
    this.#frame = requestAnimationFrame(() => {
      this.#frame = 0
      this.root.scrollTop = this.root.scrollHeight
    })
  }

  #onKey(event: KeyboardEvent): void {
    const by = { ArrowLeft: -1, ArrowRight: 1, Home: -Infinity, End: Infinity }[event.key]
    if (by === undefined || event.ctrlKey || event.altKey || event.metaKey || this.#placed.length === 0) return
    event.preventDefault()
    this.#move(by)
  }
}
