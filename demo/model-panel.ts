import {
  keepModels,
  type LoadOptions,
  type LoadProgress,
  type Model,
  type ModelSource,
  SkipstoneError,
} from '../src/index.js'
import { byId, checkedValue } from './dom.js'
import { bytes } from './format.js'
import { HUB_MODELS } from './hub-models.js'
import { load } from './load.js'
import { say, warn } from './messages.js'
import { remaining, Speed } from './speed.js'

interface Choice {
  /** The same for the same choice: it is not loaded twice. */
  readonly key: string
  readonly name: string
  readonly source: ModelSource
  readonly routers?: ModelSource
  readonly lora?: ModelSource
  readonly dtype?: LoadOptions['dtype']
  /** The source and the options of `loadModel` as source code. */
  readonly code: { readonly source: string; readonly options: Readonly<Record<string, string>> }
}

/** Whoever wants the model that is being loaded waits for it. */
interface Loading {
  readonly key: string
  readonly model: Promise<Model>
  readonly controller: AbortController
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
  readonly #hub = byId('hub-model', HTMLSelectElement)
  readonly #dtype = byId('dtype', HTMLSelectElement)
  readonly #folder = byId('model-folder', HTMLInputElement)
  readonly #progress = byId('load-progress', HTMLElement)
  readonly #bar = byId('load-bar', HTMLProgressElement)
  readonly #text = byId('load-text', HTMLElement)
  #folderChanges = 0
  #speed = new Speed()
  #loaded: { key: string; model: Model } | undefined
  #loading: Loading | undefined

  /** `onLoaded` and `onUnload` tell of models that come and go. */
  constructor(
    private readonly onLoaded: (model: Model) => void,
    private readonly onUnload: () => void,
  ) {
    this.#hub.append(...HUB_MODELS.map(({ name, label }) => new Option(label, name)))
    this.#folder.addEventListener('change', () => this.#folderChanges++)
    for (const radio of document.querySelectorAll('input[name="model"]')) {
      radio.addEventListener('change', () => this.#showFields())
    }
    this.#showFields() // a reload keeps what was checked
  }

  /** What is chosen, in a word or two. */
  describe(): string {
    const chosen = checkedValue('model')
    if (chosen === 'hub') return this.#hub.selectedOptions[0]?.label ?? 'from the hub'
    return { url: 'from an address', folder: 'from this device' }[chosen] ?? 'Pebble'
  }

  /** The chosen model, loaded where it is not yet. */
  async ready(signal: AbortSignal): Promise<Model> {
    const choice = this.#choice()
    if (this.#loaded?.key === choice.key) {
      say(`${choice.name} is loaded.`)
      return this.#loaded.model
    }
    const begun = this.#loading
    const joins = begun?.key === choice.key && !begun.controller.signal.aborted
    const { model, controller } = joins ? begun : this.#begin(choice)
    this.#progress.scrollIntoView({ block: 'nearest' })
    const abort = () => controller.abort(signal.reason)
    signal.addEventListener('abort', abort)
    try {
      return await model
    } finally {
      signal.removeEventListener('abort', abort)
    }
  }

  /** Loads what is chosen before anyone asks for it. */
  async ahead(): Promise<Model> {
    return this.#begin(this.#choice()).model
  }

  /** Gives up what is being loaded. */
  cancel(): void {
    this.#loading?.controller.abort()
  }

  /** Begins to load, in the place of what is being loaded. */
  #begin(choice: Choice): Loading {
    const former = this.#loading
    former?.controller.abort()
    const controller = new AbortController()
    const begun = former ? former.model.then(noMatter, noMatter) : Promise.resolve()
    const model = begun.then(() => this.#load(choice, controller.signal))
    const loading: Loading = { key: choice.key, model, controller }
    this.#loading = loading
    const end = () => {
      if (this.#loading === loading) this.#loading = undefined
    }
    model.then(end, end)
    return loading
  }

  async #load({ key, name, source, code: _, ...weights }: Choice, signal: AbortSignal): Promise<Model> {
    this.#unload() // before, not after: two models may not fit
    warn('')
    say(`Loading ${name}…`)
    // Some browsers ask the user; the embedded model is not worth a question.
    if (['url', 'hub'].includes(checkedValue('model'))) void keepModels()
    this.#show(true)
    try {
      const model = await load(source, {
        ...weights,
        signal,
        onProgress: (progress) => this.#report(progress),
        onWarning: warn,
      })
      this.#loaded = { key, model }
      say(`${name} is loaded.`)
      this.onLoaded(model)
      return model
    } finally {
      this.#show(false)
    }
  }

  /** The choice as source code. @throws as `ready` where nothing is chosen. */
  code(): Choice['code'] {
    return this.#choice().code
  }

  #choice(): Choice {
    const dtype = this.#dtype.value as NonNullable<LoadOptions['dtype']>
    const stored = dtype === 'stored'
    const code = (source: string): Choice['code'] => ({ source, options: stored ? {} : { dtype: `'${dtype}'` } })
    const held = { ...(!stored && { dtype }) }
    switch (checkedValue('model')) {
      case 'url': {
        const url = this.#url.value.trim()
        if (url === '') throw new SkipstoneError('bad-option', 'Enter the address of a folder of model files.')
        return { key: `url ${url} ${dtype}`, name: 'the model', source: url, ...held, code: code(`'${url}'`) }
      }
      case 'hub': {
        const name = this.#hub.value
        const label = this.#hub.selectedOptions[0]?.label ?? name
        return { key: `hub ${name} ${dtype}`, name: label, source: name, ...held, code: code(`'${name}'`) }
      }
      case 'folder': {
        const files = Array.from(this.#folder.files ?? [])
        if (files.length === 0) throw new SkipstoneError('bad-option', 'Choose a folder of model files.')
        const key = `folder ${this.#folderChanges} ${dtype}`
        return { key, name: 'the model', source: files, ...held, code: code('input.files') }
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
    byId('hub-field', HTMLElement).hidden = chosen !== 'hub'
    byId('dtype-field', HTMLElement).hidden = chosen === 'embedded'
    byId('url-field', HTMLElement).hidden = chosen !== 'url'
    byId('folder-field', HTMLElement).hidden = chosen !== 'folder'
    byId('routers-hint', HTMLElement).hidden = chosen === 'embedded'
  }

  #show(loading: boolean): void {
    this.#progress.hidden = !loading
    this.#bar.removeAttribute('value')
    this.#speed = new Speed()
    this.#text.textContent = loading ? READING : ''
  }

  #report({ phase, loaded, total }: LoadProgress): void {
    const doing = DOING[phase]
    if (total > 0) {
      this.#bar.max = total
      this.#bar.value = loaded
      const perSecond = phase === 'download' ? this.#speed.add(loaded) : undefined
      const rest = perSecond && `, ${bytes(perSecond)}/s, ${remaining((total - loaded) / perSecond)}`
      this.#text.textContent = `${doing} ${bytes(loaded)} of ${bytes(total)}${rest ?? ''}`
      return
    }
    this.#bar.removeAttribute('value')
    this.#text.textContent = doing
  }
}

const noMatter = () => undefined

/** The embedded model; `target` names the routers and the adapter that go with it, '' neither. */
function pebble(target: string): Choice {
  const at = (folder: string) => new URL(`models/pebble/${folder}`, document.baseURI)
  const code = (folder: string) => `'./models/pebble/${folder}'`
  const base = { key: `pebble ${target}`, name: 'Pebble', source: at('') }
  if (target === '') return { ...base, code: { source: code(''), options: {} } }
  const [routers, lora] = [`skipgpt-${target}/`, `skipgpt-${target}/lora/`]
  const options = { routers: code(routers), lora: code(lora) }
  return { ...base, routers: at(routers), lora: at(lora), code: { source: code(''), options } }
}
