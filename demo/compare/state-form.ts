import { SkipstoneError } from '../../src/index.js'
import { byId, checkedValue } from '../dom.js'
import { SettingsForm } from './settings-form.js'
import { fromHash, type State, toHash } from './state.js'

/** The form, and the URL's hash that says the same. */
export class StateForm {
  readonly #form = byId('compare-form', HTMLFormElement)
  readonly #prompt = byId('prompt', HTMLTextAreaElement)
  readonly #maxTokens = byId('max-tokens', HTMLInputElement)
  readonly #temperature = byId('temperature', HTMLInputElement)
  readonly #seed = byId('seed', HTMLInputElement)
  readonly #address = byId('model-url', HTMLInputElement)
  readonly #settings = new SettingsForm(() => this.#write())

  constructor() {
    this.#read()
    this.#form.addEventListener('input', () => {
      this.#showFields()
      this.#write()
    })
    // A link that is pasted into this tab, or the way back.
    window.addEventListener('hashchange', () => this.#read())
  }

  /** @throws `bad-option` where an address is asked for and not given. */
  get checked(): State {
    if (!this.#embedded && this.#address.value.trim() === '') {
      throw new SkipstoneError('bad-option', 'Enter the address of a folder of model files.')
    }
    return this.#state
  }

  get #embedded(): boolean {
    return checkedValue('model') === 'embedded'
  }

  get #state(): State {
    return {
      prompt: this.#prompt.value,
      maxTokens: this.#maxTokens.valueAsNumber,
      temperature: this.#temperature.valueAsNumber,
      seed: this.#seed.valueAsNumber,
      address: this.#embedded ? '' : this.#address.value.trim(),
      settings: this.#settings.settings,
    }
  }

  #read(): void {
    const state = fromHash(location.hash)
    this.#prompt.value = state.prompt
    this.#maxTokens.value = String(state.maxTokens)
    this.#temperature.value = String(state.temperature)
    this.#seed.value = String(state.seed)
    this.#address.value = state.address
    byId(state.address === '' ? 'model-embedded' : 'model-address', HTMLInputElement).checked = true
    this.#settings.settings = state.settings
    this.#showFields()
  }

  /** Replaces the entry: the way back leads off the page, not through every letter. */
  #write(): void {
    history.replaceState(null, '', toHash(this.#state))
  }

  #showFields(): void {
    byId('url-field', HTMLElement).hidden = this.#embedded
    this.#settings.embedded = this.#embedded
  }

  /** The address of this page as it stands. */
  link(): string {
    this.#write()
    return location.href
  }
}
