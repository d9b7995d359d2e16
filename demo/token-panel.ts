import { countRan } from './decisions.js'
import { byId, create, setOn } from './dom.js'
import { percent } from './format.js'
import type { ShownToken } from './text-view.js'

const panel = byId('token-panel', HTMLElement)
const summary = byId('token-summary', HTMLElement)
const table = byId('token-decisions', HTMLElement)
const previous = byId('previous-token', HTMLButtonElement)
const next = byId('next-token', HTMLButtonElement)

/** Shows one token's decisions, layer by layer; `length` is that of the text. */
export function showToken(token: ShownToken | undefined, length: number): void {
  panel.hidden = token === undefined
  if (!token) return
  setOn(previous, token.position > 0)
  setOn(next, token.position < length - 1)
  const text = sentence(token)
  if (summary.textContent !== text) summary.textContent = text
  table.replaceChildren(...decisionTable(token))
}

function sentence({ position, id, text, origin, decisions }: ShownToken): string {
  const name = text === '' ? 'part of a character' : `“${text.replaceAll('\n', '↵').replaceAll(' ', '␣')}”`
  const where = `Token ${position + 1}, ${name} (id ${id}, ${origin === 'prompt' ? 'from the prompt' : 'generated'})`
  if (!decisions) return `${where}: not run yet. It runs when the text goes on.`
  const { ran, all } = countRan(decisions)
  return `${where}: ran ${ran} of ${all} sublayers, ${percent(ran / all)}.`
}

function decisionTable({ decisions }: ShownToken): HTMLElement[] {
  if (!decisions) return []
  const result = create('table', { className: 'decisions' })
  const head = result.createTHead().insertRow()
  head.append(header('Layer', 'row'), ...decisions.attention.map((_, layer) => header(String(layer), 'col')))
  const body = result.createTBody()
  for (const [name, row] of [
    ['Attention', decisions.attention],
    ['MLP', decisions.mlp],
  ] as const) {
    body.insertRow().append(header(name, 'row'), ...row.map(cell))
  }
  return [result]
}

function header(text: string, scope: 'row' | 'col'): HTMLElement {
  const th = create('th', { text })
  th.scope = scope
  return th
}

function cell(ran: boolean): HTMLElement {
  const td = create('td', { className: ran ? 'ran' : 'skipped' })
  td.append(create('span', { className: 'visually-hidden', text: ran ? 'ran' : 'skipped' }))
  return td
}
