import { create, createButton, header, scrollRegion, setOn, setText } from './dom.js'
import { Throttle } from './throttle.js'
import type { TokenStore } from './token-store.js'
import type { Subject } from './view.js'
import { percent, tokenLabel } from './words.js'

const PAGE = 50
const INTERVAL_MS = 300

/** The picture as a table, for those who do not see it, a page at a time. */
export class TokenTable {
  readonly root = create('details', { className: 'table' })
  readonly #scroll = scrollRegion('Table of tokens and what they ran', 'scroll')
  readonly #where = create('span')
  readonly #previous = createButton('Previous page', () => this.#turn(-1))
  readonly #next = createButton('Next page', () => this.#turn(1))
  readonly #throttle: Throttle
  #page = 0
  #dirty = true

  constructor(
    private readonly subject: Subject,
    request: () => void,
  ) {
    this.#throttle = new Throttle(INTERVAL_MS, request)
    const buttons = create('div', { className: 'buttons' })
    buttons.append(this.#previous, this.#next, this.#where)
    this.root.append(create('summary', { text: 'Table' }), buttons, this.#scroll)
    this.root.addEventListener('toggle', () => {
      const { selected } = this.subject
      if (this.root.open && selected !== undefined) this.#page = Math.floor(selected / PAGE)
      this.#show()
    })
  }

  invalidate(): void {
    this.#dirty = true
  }

  reset(): void {
    this.#page = 0
    this.#dirty = true
    this.#throttle.reset()
  }

  render(): void {
    if (this.root.open && this.#dirty && this.#throttle.isDue()) this.#show()
  }

  #turn(by: number): void {
    this.#page += by
    this.#show()
  }

  #show(): void {
    const { store } = this.subject
    if (!this.root.open) return
    this.#dirty = false
    const pages = Math.max(1, Math.ceil((store?.length ?? 0) / PAGE))
    this.#page = Math.max(0, Math.min(pages - 1, this.#page))
    setOn(this.#previous, this.#page > 0)
    setOn(this.#next, this.#page < pages - 1)
    setText(this.#where, `Page ${this.#page + 1} of ${pages}`)
    this.#scroll.replaceChildren(...(store ? [pageTable(store, PAGE * this.#page)] : []))
  }
}

function pageTable(store: TokenStore, from: number): HTMLTableElement {
  const table = create('table')
  const end = Math.min(from + PAGE, store.length)
  table.append(
    create('caption', {
      text: `Positions ${from} to ${end - 1}. In the patterns, one digit is one layer: 1 ran, 0 skipped.`,
    }),
  )
  const head = table.createTHead().insertRow()
  for (const name of ['Position', 'Token', 'Ran', 'Attention', 'MLP']) head.append(header(name, 'col'))
  const body = table.createTBody()
  for (let position = from; position < end; position++) {
    const token = store.token(position)
    const name = create('td', { className: token.origin === 'prompt' ? 'prompt' : '', text: tokenLabel(token) })
    const cells = token.ran
      ? [
          create('td', { text: percent(store.countRan(position) / store.sublayers) }),
          create('td', { className: 'pattern', text: store.pattern(position, 'attention') }),
          create('td', { className: 'pattern', text: store.pattern(position, 'mlp') }),
        ]
      : [create('td', { text: 'not run yet' }), create('td'), create('td')]
    body.insertRow().append(header(String(position), 'row'), name, ...cells)
  }
  return table
}
