import { create } from './dom.js'

/** Tabs as the ARIA pattern has them: one stop of the tab key, arrow keys between them, the panel follows at once. */
export class Tabs<Name extends string> {
  readonly list = create('div', { className: 'tabs' })
  readonly panels = create('div', { className: 'panels' })
  readonly #tabs = new Map<Name, { tab: HTMLButtonElement; panel: HTMLElement }>()

  constructor(
    entries: readonly { name: Name; title: string; content: HTMLElement }[],
    private readonly onChoose: (name: Name) => void,
  ) {
    this.list.setAttribute('role', 'tablist')
    this.list.setAttribute('aria-label', 'View')
    for (const { name, title, content } of entries) this.#add(name, title, content)
    this.list.addEventListener('keydown', (event) => this.#onKey(event))
  }

  show(chosen: Name): void {
    for (const [name, { tab, panel }] of this.#tabs) {
      tab.setAttribute('aria-selected', String(name === chosen))
      tab.tabIndex = name === chosen ? 0 : -1
      panel.hidden = name !== chosen
    }
  }

  #add(name: Name, title: string, content: HTMLElement): void {
    const tab = create('button', { text: title })
    tab.type = 'button'
    tab.id = `tab-${name}`
    tab.setAttribute('role', 'tab')
    tab.setAttribute('aria-controls', `panel-${name}`)
    tab.addEventListener('click', () => this.onChoose(name))
    const panel = create('div')
    panel.id = `panel-${name}`
    panel.setAttribute('role', 'tabpanel')
    panel.setAttribute('aria-labelledby', tab.id)
    panel.append(content)
    this.list.append(tab)
    this.panels.append(panel)
    this.#tabs.set(name, { tab, panel })
  }

  #onKey(event: KeyboardEvent): void {
    const all = [...this.#tabs]
    const now = all.findIndex(([, { tab }]) => tab === event.target)
    const to = { ArrowLeft: now - 1, ArrowRight: now + 1, Home: 0, End: all.length - 1 }[event.key]
    if (now < 0 || to === undefined) return
    event.preventDefault()
    const next = all[(to + all.length) % all.length]
    if (!next) return
    this.onChoose(next[0])
    next[1].tab.focus()
  }
}
