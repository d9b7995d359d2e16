import { create, createButton, header, scrollRegion, setOn, setText } from './dom.js'
import type { Kind, TokenStore } from './token-store.js'
import type { Subject } from './view.js'
import { marginText, tokenSentence } from './words.js'

/** The chosen token: what it is, and its decisions layer by layer. */
export class DecisionPanel {
  readonly root = create('section', { className: 'chosen' })
  readonly #sentence = create('p')
  readonly #table = scrollRegion('Decisions of the chosen token', 'scroll')
  readonly #previous: HTMLButtonElement
  readonly #next: HTMLButtonElement

  constructor(
    private readonly subject: Subject,
    onMove: (by: 1 | -1) => void,
  ) {
    this.#previous = createButton('←', () => onMove(-1), 'Previous token')
    this.#next = createButton('→', () => onMove(1), 'Next token')
    const buttons = create('div', { className: 'buttons' })
    buttons.append(this.#previous, this.#next)
    const head = create('div', { className: 'chosen-head' })
    head.append(create('h3', { text: 'Chosen token' }), buttons)
    this.root.append(head, this.#sentence, this.#table)
  }

  render(): void {
    const { store, selected } = this.subject
    setOn(this.#previous, store !== undefined && (selected ?? store.length) > 0)
    setOn(this.#next, store !== undefined && (selected ?? -1) < store.length - 1)
    if (!store || selected === undefined) {
      setText(this.#sentence, 'None yet: tap one above.')
      this.#table.replaceChildren()
      this.#table.hidden = true
      return
    }
    const token = store.token(selected)
    setText(this.#sentence, tokenSentence(store, token))
    this.#table.hidden = !token.ran
    this.#table.replaceChildren(...(token.ran ? [decisionTable(store, selected)] : []))
  }
}

function decisionTable(store: TokenStore, position: number): HTMLTableElement {
  const table = create('table', { className: 'decisions' })
  const head = table.createTHead().insertRow()
  head.append(header('Layer', 'row'))
  for (let layer = 0; layer < store.layers; layer++) head.append(header(String(layer), 'col'))
  const body = table.createTBody()
  for (const [name, kind, offset] of [
    ['Attention', 'attention', 0],
    ['MLP', 'mlp', 1],
  ] as const) {
    const row = body.insertRow()
    row.append(header(name, 'row'))
    for (let layer = 0; layer < store.layers; layer++) row.append(cell(store, position, 2 * layer + offset, kind))
  }
  return table
}

function cell(store: TokenStore, position: number, sublayer: number, kind: Kind): HTMLTableCellElement {
  const ran = store.executed(position, sublayer)
  const result = create('td', { className: ran ? `ran ${kind}` : 'skipped' })
  const mark = create('span', { text: ran ? (kind === 'attention' ? '■' : '◆') : '·' })
  mark.setAttribute('aria-hidden', 'true')
  result.append(mark, create('span', { className: 'visually-hidden', text: ran ? 'ran' : 'skipped' }))
  const margin = store.margin(position, sublayer)
  if (margin !== undefined) {
    result.append(create('span', { className: 'visually-hidden', text: ', margin ' }))
    result.append(create('span', { className: 'margin', text: marginText(margin) }))
  }
  return result
}
