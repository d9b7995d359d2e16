import { dense, forced, type PolicyRequest, skipgpt } from '../src/index.js'
import { byId, checkedValue } from './dom.js'
import { percent } from './format.js'

const WITH_SHARE = ['budget', 'forced']
const WITH_ROUTERS = ['routers', 'budget']

/** Lets the user choose what is skipped. */
export class PolicyPanel {
  readonly #share = byId('share', HTMLInputElement)
  readonly #radios = [...document.querySelectorAll<HTMLInputElement>('input[name="policy"]')]
  /** What was chosen before a model without routers made it dense. */
  #wished: HTMLInputElement | undefined

  /** `onChange`: the user has chosen something else; not for every place that a slider passes. */
  constructor(onChange: () => void) {
    for (const input of [...this.#radios, this.#share]) {
      input.addEventListener('input', () => this.#show())
      input.addEventListener('change', onChange)
    }
    this.#show()
  }

  request(seed: number): PolicyRequest {
    const share = this.#share.valueAsNumber / 100
    switch (checkedValue('policy')) {
      case 'routers':
        return skipgpt()
      case 'budget':
        return skipgpt({ budget: share })
      case 'forced':
        return forced({ skip: share, seed })
      default:
        return dense()
    }
  }

  /** The call that makes it, as source code. */
  code(seed: number): string {
    const share = this.#share.valueAsNumber / 100
    switch (checkedValue('policy')) {
      case 'routers':
        return 'skipgpt()'
      case 'budget':
        return `skipgpt({ budget: ${share} })`
      case 'forced':
        return `forced({ skip: ${share}, seed: ${seed} })`
      default:
        return 'dense()'
    }
  }

  /** In words, for beside the text. */
  describe(): string {
    const share = percent(this.#share.valueAsNumber / 100)
    switch (checkedValue('policy')) {
      case 'routers':
        return 'SkipGPT'
      case 'budget':
        return `SkipGPT, ${share} to skip`
      case 'forced':
        return `By lot, ${share} to skip`
      default:
        return 'Dense'
    }
  }

  /** Whether the policy is found by calibration before the first token. */
  get calibrates(): boolean {
    return checkedValue('policy') === 'budget'
  }

  /** Without routers only what does without them can be chosen. */
  setRouters(available: boolean): void {
    byId('no-routers', HTMLElement).hidden = available
    const chosen = this.#radios.find((radio) => radio.checked)
    for (const radio of this.#radios) radio.disabled = !available && WITH_ROUTERS.includes(radio.value)
    if (!available && chosen?.disabled) {
      this.#wished = chosen
      this.#check(this.#radios.find((radio) => radio.value === 'dense'))
    } else if (available && this.#wished) {
      if (chosen?.value === 'dense') this.#check(this.#wished)
      this.#wished = undefined
    }
  }

  #check(radio: HTMLInputElement | undefined): void {
    if (radio) radio.checked = true
    this.#show()
  }

  #show(): void {
    byId('share-field', HTMLElement).hidden = !WITH_SHARE.includes(checkedValue('policy'))
    const text = percent(this.#share.valueAsNumber / 100)
    byId('share-text', HTMLElement).textContent = text
    this.#share.setAttribute('aria-valuetext', text)
  }
}
