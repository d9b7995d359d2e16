import { keepModels, type LoadOptions, loadModel, type Model, SkipstoneError } from '../../src/index.js'
import { describeLoad, pebble } from '../compare/models.js'
import { byId } from '../dom.js'
import { warn } from '../messages.js'
import type { TuneRequest } from './request.js'
import { ROUTERS } from './stages.js'

export interface LoadTask {
  readonly signal: AbortSignal
  readonly onProgress: (text: string) => void
}

type Which = Pick<TuneRequest, 'address' | 'dtype' | 'routers'>
type Bytes = Uint8Array<ArrayBuffer>

/** Holds the model that trains: on the page, for those in workers do not train yet. */
export class LoadedModel {
  #held: { key: string; anew: boolean; trained: Bytes | undefined; model: Model } | undefined

  /**
   * The model of a request, loaded where it is not the one that is held. `trained`: the routers of this page.
   * @throws `bad-option` for routers that are not there, and as `loadModel`.
   */
  async get({ address, dtype, routers }: TuneRequest, trained: Bytes | undefined, task: LoadTask): Promise<Model> {
    const its = routers === 'trained' ? trained : undefined
    if (routers === 'trained' && !its) {
      throw new SkipstoneError(
        'bad-option',
        'No routers were trained on this page yet: train some first, or choose others.',
      )
    }
    const key = JSON.stringify([address, dtype, routers])
    if (this.#held?.key === key && this.#held.trained === its) return this.#held.model
    this.clear() // before, not after: two models may not fit
    const model = await load({ address, dtype, routers }, its, task)
    if (routers === 'own' && !model.hasRouters) {
      model.dispose()
      throw new SkipstoneError('bad-option', 'This model has no routers of its own: begin with new ones.')
    }
    this.#held = { key, anew: routers === 'new', trained: its, model }
    byId('software', HTMLElement).hidden = !model.device.software
    return model
  }

  /** The model has other routers now than those with which it was loaded: who wants these has it loaded again. */
  changed(): void {
    // A run that begins with new ones does not care.
    if (this.#held && !this.#held.anew) this.#held.key = ''
  }

  clear(): void {
    this.#held?.model.dispose()
    this.#held = undefined
  }
}

/** Another one of the same model, with the LoRA as it is now merged in. The caller disposes of it. */
export function loadAdapted(
  which: Which,
  trained: Bytes | undefined,
  lora: ReadonlyMap<string, Bytes>,
  task: LoadTask,
): Promise<Model> {
  return load(which, trained, task, { lora: filesOf(lora) })
}

function routersOf({ address, routers }: Which, trained: Bytes | undefined): LoadOptions {
  if (routers === 'trained' && trained) return { routers: filesOf(new Map([[ROUTERS, trained]])) }
  // The embedded model keeps its routers in folders below its own, others beside their weights.
  return routers === 'own' && address === '' ? { routers: pebble('skipgpt-25/') } : {}
}

function load(which: Which, trained: Bytes | undefined, { signal, onProgress }: LoadTask, more: LoadOptions = {}) {
  const { address, dtype } = which
  if (address !== '') void keepModels()
  return loadModel(address === '' ? pebble('') : address, {
    ...routersOf(which, trained),
    ...more,
    dtype,
    signal,
    onProgress: (progress) => onProgress(describeLoad(progress)),
    onWarning: warn,
  })
}

function filesOf(files: ReadonlyMap<string, Bytes>): File[] {
  return Array.from(files, ([name, bytes]) => new File([bytes], name))
}
