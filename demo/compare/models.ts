import { keepModels, type LoadProgress, loadModel, type Model, type SkipProfile } from '../../src/index.js'
import { byId } from '../dom.js'
import { bytes } from '../format.js'
import { warn } from '../messages.js'
import { modelKey, type Setting } from './setting.js'

const DOING: Readonly<Record<LoadProgress['phase'], string>> = {
  config: 'reading the configuration',
  download: 'downloading',
  verify: 'comparing with the published hash',
  upload: 'moving to the GPU',
  pipelines: 'compiling shaders',
  ready: 'ready',
}

/** Holds one loaded model: several may not fit into the GPU's memory side by side. */
export class ModelShelf {
  #held: { key: string; profile: SkipProfile | undefined; model: Model } | undefined
  /** What the next model is loaded with. */
  profile: SkipProfile | undefined

  /** The model that `setting` runs on, loaded where it is not the one that is held. */
  async get(
    setting: Setting,
    address: string,
    signal: AbortSignal,
    onProgress: (text: string) => void,
  ): Promise<Model> {
    const key = modelKey(setting, address)
    const { profile } = this
    if (this.#held?.key === key && this.#held.profile === profile) return this.#held.model
    this.clear() // before, not after: two models may not fit
    if (address !== '') void keepModels()
    const model = await loadModel(address === '' ? pebble('') : address, {
      ...(address === '' && companions(setting)),
      dtype: setting.dtype,
      ...(profile && { profile }),
      signal,
      onProgress: (progress) => onProgress(describeLoad(progress)),
      onWarning: warn,
    })
    this.#held = { key, profile, model }
    byId('software', HTMLElement).hidden = !model.device.software
    return model
  }

  /** Lets go of a model that none of these settings runs on. */
  keepFor(settings: readonly Setting[], address: string): void {
    if (!settings.some((setting) => modelKey(setting, address) === this.#held?.key)) this.clear()
  }

  clear(): void {
    this.#held?.model.dispose()
    this.#held = undefined
  }
}

/** How a load stands, in words. */
export function describeLoad({ phase, loaded, total }: LoadProgress): string {
  return total > 0 ? `${DOING[phase]}, ${bytes(loaded)} of ${bytes(total)}` : DOING[phase]
}

/** The embedded model, or a folder of it. */
export function pebble(folder: string): URL {
  return new URL(`models/pebble/${folder}`, document.baseURI)
}

function companions({ routers, lora }: Setting): { routers?: URL; lora?: URL } {
  if (routers === '') return {}
  const folder = `skipgpt-${routers}/`
  return { routers: pebble(folder), ...(lora && { lora: pebble(`${folder}lora/`) }) }
}
