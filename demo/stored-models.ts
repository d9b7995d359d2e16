import { deleteModel, listModels, type StoredModel } from '../src/index.js'
import { byId, create } from './dom.js'
import { bytes } from './format.js'
import { report, say } from './messages.js'

/** Without the address of this page's own site. */
function shortened(url: string): string {
  return url.replace(`${location.origin}/`, '')
}

/** The list of models that this browser keeps, each with a button that deletes it. */
export class StoredModels {
  readonly #details = byId('stored', HTMLDetailsElement)
  readonly #list = byId('stored-list', HTMLUListElement)
  readonly #none = byId('stored-none', HTMLElement)

  constructor() {
    this.#details.addEventListener('toggle', () => void this.show())
  }

  /** Brings the list up to date where it is open. */
  async show(): Promise<void> {
    if (!this.#details.open) return
    try {
      const models = await listModels()
      this.#list.replaceChildren(...models.map((model) => this.#item(model)))
      this.#none.hidden = models.length > 0
    } catch (error) {
      report(error)
    }
  }

  #item(model: StoredModel): HTMLLIElement {
    const item = create('li')
    const unfinished = model.bytes < model.size ? ` of ${bytes(model.size)}; loading it again goes on` : ''
    item.append(create('span', { text: shortened(model.url), className: 'stored-url' }))
    item.append(create('small', { text: `${bytes(model.bytes)}${unfinished}` }))
    const button = create('button', { text: 'Delete' })
    button.type = 'button'
    button.setAttribute('aria-label', `Delete ${model.url}`)
    button.addEventListener('click', () => void this.#delete(model))
    item.append(button)
    return item
  }

  async #delete({ url }: StoredModel): Promise<void> {
    try {
      await deleteModel(url)
      say(`${url} is deleted.`)
    } catch (error) {
      report(error)
    }
    // The button that had the focus is gone.
    this.#details.querySelector('summary')?.focus()
    await this.show()
  }
}
