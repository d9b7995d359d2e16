import { create } from '../dom.js'
import { bytes, percent, rate } from '../format.js'
import type { Run } from './measure.js'
import { describeParting, type Parting } from './parting.js'

/** What stands where a text leaves the first one; it is part of the line, so it is short. */
const MARK: Readonly<Record<Parting['kind'], string>> = {
  same: '',
  parts: 'parts here',
  shorter: 'ends here',
  longer: 'goes on here',
}

/** One setting's text and figures. */
export class Column {
  readonly element = create('article', { className: 'column' })
  readonly #text = create('div', { className: 'output' })
  readonly #phase = create('p', { className: 'hint', text: 'Waits for its turn.' })
  readonly #figures = create('dl', { className: 'totals' })

  constructor(index: number, description: string) {
    const heading = create('h3', { text: `Setting ${index + 1}` })
    heading.id = `column-${index + 1}`
    this.element.setAttribute('aria-labelledby', heading.id)
    this.#text.tabIndex = 0 // it scrolls
    this.#text.setAttribute('role', 'group')
    this.#text.setAttribute('aria-label', `Text of setting ${index + 1}`)
    this.element.append(
      heading,
      create('p', { className: 'what', text: description }),
      this.#text,
      this.#phase,
      this.#figures,
    )
  }

  phase(text: string): void {
    this.#phase.textContent = text
    this.#phase.hidden = text === ''
  }

  add(text: string): void {
    this.#text.append(text)
  }

  show(run: Run, parts: Parting | undefined): void {
    this.phase('')
    this.#showText(run, parts)
    this.#figures.replaceChildren()
    this.#figure('Skipped', percent(run.skip.total))
    this.#figure('Attention skipped', percent(run.skip.attention))
    this.#figure('MLP skipped', percent(run.skip.mlp))
    this.#figure('Loss on setting 1’s text', run.nll === undefined ? '–' : run.nll.toFixed(3))
    this.#figure('Decisions as in setting 1', precise(run.agreement))
    this.#figure('Parts from setting 1', parts ? describeParting(parts) : 'is setting 1')
    this.#figure('Weights read per token', run.weightBytesPerToken > 0 ? bytes(run.weightBytesPerToken) : '–')
    this.#figure('Weights held as', run.dtype)
    this.#figure('Prompt speed', rate(run.prefillTokensPerSecond))
    this.#figure('Generation speed', rate(run.decodeTokensPerSecond))
  }

  #showText({ text, pieces }: Run, parts: Parting | undefined): void {
    this.#text.textContent = text
    if (!parts || parts.kind === 'same') return
    const before = pieces.slice(0, parts.at).join('')
    const rest = create('span', { className: 'after', text: text.slice(before.length) })
    this.#text.textContent = text.slice(0, before.length)
    this.#text.append(create('mark', { className: 'parts', text: MARK[parts.kind] }), rest)
  }

  #figure(name: string, value: string): void {
    const row = create('div')
    row.append(create('dt', { text: name }), create('dd', { text: value }))
    this.#figures.append(row)
  }
}

/** With a decimal, and never 100 % for less than all. */
function precise(share: number): string {
  return share === 1 ? '100 %' : `${(Math.floor(1000 * share) / 10).toFixed(1)} %`
}
