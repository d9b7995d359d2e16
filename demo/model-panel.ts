import { keepModels, type LoadProgress, loadModel, type Model, type ModelSource, SkipstoneError } from '../src/index.js'
import { byId, checkedValue } from './dom.js'
import { bytes } from './format.js'
import { say } from './messages.js'

interface Choice {
  /** The same for the same choice: it is not loaded twice. */
  readonly key: string
  readonly name: string
  readonly source: ModelSource
  readonly routers?: ModelSource
  readonly lora?: ModelSource
}

const READING = 'Reading the configuration…'

const DOING: Readonly<Record<LoadProgress['phase'], string>> = {
  config: READING,
  download: 'Downloading:',
  verify: 'Comparing with the published hash:',
  upload: 'Moving to the GPU:',
  pipelines: 'Compiling shaders…',
  ready: 'Ready.',
}

/** Lets the user pick a model and loads it, one at a time. */
export class ModelPanel {
  readonly #url = byId('model-url', HTMLInputElement)
  readonly #pebble = byId('pebble-routers', HTMLSelectElement)
  readonly #folder = byId('model-folder', HTMLInputElement)
  readonly #progress = byId('load-progress', HTMLElement)
  readonly #bar = byId('load-bar', HTMLProgressElement)
  readonly #text = byId('load-text', HTMLElement)
  #folderChanges = 0
  #loaded: { key: string; model: Model } | undefined

  /** `onLoaded` and `onUnload` tell of models that come and go. */
  constructor(
    private readonly onLoaded: (model: Model) => void,
    private readonly onUnload: () => void,
  ) {
    this.#folder.addEventListener('change', () => this.#folderChanges++)
    for (const radio of document.querySelectorAll('input[name="model"]')) {
      radio.addEventListener('change', () => this.#showFields())
    }
    this.#showFields() // a reload keeps what was checked
  }

  /** What is chosen, in a word or two. */
  describe(): string {
    return { url: 'from an address', folder: 'from this device' }[checkedValue('model')] ?? 'Pebble'
  }

  /** The chosen model, loaded where it is not yet. */
  async ready(signal: AbortSignal): Promise<Model> {
    const { key, name, source, ...weights } = this.#choice()
    if (this.#loaded?.key === key) return this.#loaded.model
    this.#unload() // before, not after: two models may not fit
    say(`Loading ${name}…`)
    // Some browsers ask the user; the embedded model is not worth a question.
    if (checkedValue('model') === 'url') void keepModels()
    this.#show(true)
    try {
      const model = await loadModel(source, { ...weights, signal, onProgress: (progress) => this.#report(progress) })
      this.#loaded = { key, model }
      say(`${name} is loaded.`)
      this.onLoaded(model)
      return model
    } finally {
      this.#show(false)
    }
  }

  #choice(): Choice {
    switch (checkedValue('model')) {
      case 'url': {
        const url = this.#url.value.trim()
        if (url === '') throw new SkipstoneError('bad-option', 'Enter the address of a folder of model files.')
        return { key: `url ${url}`, name: 'the model', source: url }
      }
      case 'folder': {
        const files = Array.from(this.#folder.files ?? [])
        if (files.length === 0) throw new SkipstoneError('bad-option', 'Choose a folder of model files.')
        return { key: `folder ${this.#folderChanges}`, name: 'the model', source: files }
      }
      default:
        return pebble(this.#pebble.value)
    }
  }

  #unload(): void {
    if (!this.#loaded) return
    this.onUnload()
    this.#loaded.model.dispose()
    this.#loaded = undefined
  }

  #showFields(): void {
    const chosen = checkedValue('model')
    byId('pebble-field', HTMLElement).hidden = chosen !== 'embedded'
    byId('url-field', HTMLElement).hidden = chosen !== 'url'
    byId('folder-field', HTMLElement).hidden = chosen !== 'folder'
    byId('routers-hint', HTMLElement).hidden = chosen === 'embedded'
  }

  #show(loading: boolean): void {
    this.#progress.hidden = !loading
    this.#bar.removeAttribute('value')
    this.#text.textContent = loading ? READING : ''
    if (loading) this.#progress.scrollIntoView({ block: 'nearest' })
  }

  #report({ phase, loaded, total }: LoadProgress): void {
    const doing = DOING[phase]
    if (total > 0) {
      this.#bar.max = total
      this.#bar.value = loaded
      this.#text.textContent = `${doing} ${bytes(loaded)} of ${bytes(total)}`
      return
    }
    this.#bar.removeAttribute('value')
    this.#text.textContent = doing
  }
}

/** The embedded model; `target` names the routers and the adapter that go with it, '' neither. */
function pebble(target: string): Choice {
  const at = (folder: string) => new URL(`models/pebble/${folder}`, document.baseURI)
  const base = { key: `pebble ${target}`, name: 'Pebble', source: at('') }
  return target === '' ? base : { ...base, routers: at(`skipgpt-${target}/`), lora: at(`skipgpt-${target}/lora/`) }
}
