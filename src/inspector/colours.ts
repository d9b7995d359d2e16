import { create } from './dom.js'

const NAMES = ['attention', 'mlp', 'skipped', 'surface', 'band', 'ink', 'muted', 'line', 'accent'] as const

/** CSS colours for the canvas. */
export type Colours = Readonly<Record<(typeof NAMES)[number], string>>

/**
 * Reads the custom properties of the style sheet as colours that a canvas understands. Each has a hidden element, which resolves
 * `light-dark()` and system colours, and whose transition tells when the scheme changes, whoever changed it.
 */
export class ColourProbes {
  readonly root = create('span', { className: 'probes' })
  #colours: Colours | undefined

  constructor(onChange: () => void) {
    this.root.setAttribute('aria-hidden', 'true')
    for (const name of NAMES) this.root.append(create('i', { className: `probe-${name}` }))
    this.root.addEventListener('transitionend', () => {
      this.#colours = undefined
      onChange()
    })
  }

  get colours(): Colours {
    this.#colours ??= Object.fromEntries(
      NAMES.map((name, i) => [name, getComputedStyle(this.root.children[i]!).color]),
    ) as Colours
    return this.#colours
  }

  /** Where the element was away from the page, its colours may be others. */
  forget(): void {
    this.#colours = undefined
  }
}
