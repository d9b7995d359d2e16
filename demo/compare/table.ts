import { create } from '../dom.js'

/** A table whose rows begin with their heading. */
export function table(head: readonly string[], rows: readonly (readonly string[])[]): HTMLTableElement {
  const element = create('table', { className: 'figures' })
  const top = create('thead').appendChild(create('tr'))
  for (const text of head) {
    const cell = create('th', { text })
    cell.scope = 'col'
    top.append(cell)
  }
  const body = create('tbody')
  for (const [name = '', ...values] of rows) {
    const row = create('tr')
    const heading = create('th', { text: name })
    heading.scope = 'row'
    row.append(heading, ...values.map((text) => create('td', { text })))
    body.append(row)
  }
  element.append(top.parentElement as HTMLElement, body)
  return element
}

/** Holds what may be wider than the page; the keyboard can scroll it. */
export function scrollBox(label: string): HTMLElement {
  const box = create('section', { className: 'scroll' })
  box.tabIndex = 0
  box.setAttribute('aria-label', label)
  return box
}
