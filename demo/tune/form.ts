import { SkipstoneError } from '../../src/index.js'
import { DTYPES } from '../compare/setting.js'
import { byId, checkedValue } from '../dom.js'
import type { TuneRequest } from './request.js'
import { STAGES, type Stage } from './stages.js'

/** The fields that say what to train. */
export class TuneForm {
  readonly #address = byId('model-url', HTMLInputElement)
  readonly #dtype = byId('dtype', HTMLSelectElement)
  readonly #routers = byId('begin-with', HTMLSelectElement)
  readonly #paste = byId('paste', HTMLTextAreaElement)
  readonly #file = byId('file', HTMLInputElement)
  readonly #target = byId('target', HTMLInputElement)

  constructor() {
    byId('tune-form', HTMLFormElement).addEventListener('change', () => this.#show())
    this.#show() // a reload keeps what was checked
  }

  /** @throws `bad-option` where something is asked for and not given. */
  async request(): Promise<TuneRequest> {
    const embedded = checkedValue('model') === 'embedded'
    const address = embedded ? '' : this.#address.value.trim()
    if (!embedded && address === '') {
      throw new SkipstoneError('bad-option', 'Enter the address of a folder of model files.')
    }
    const stage = stageOf()
    return {
      address,
      dtype: DTYPES.find((dtype) => !embedded && dtype === this.#dtype.value) ?? 'stored',
      stage,
      routers: stage === 'gateskip' ? 'new' : (this.#routers.value as TuneRequest['routers']),
      text: await this.#text(),
      target: this.#target.valueAsNumber / 100,
      steps: number('steps'),
      batch: number('batch'),
      context: number('context'),
      sampled: number('sampled'),
      learningRate: number('learning-rate'),
    }
  }

  /** Shows what a run was asked for. A file's text stands where text is pasted. */
  fill({ address, dtype, stage, routers, text, target, ...numbers }: TuneRequest): void {
    byId(address === '' ? 'model-embedded' : 'model-address', HTMLInputElement).checked = true
    byId(`stage-${stage}`, HTMLInputElement).checked = true
    byId(text === undefined ? 'source-self' : 'source-paste', HTMLInputElement).checked = true
    this.#address.value = address
    this.#dtype.value = dtype
    this.#routers.value = routers
    this.#paste.value = text ?? ''
    if (STAGES[stage].decides) this.#target.value = String(Number((100 * target).toPrecision(6)))
    for (const name of ['steps', 'batch', 'context', 'sampled'] as const) {
      byId(name, HTMLInputElement).value = String(numbers[name] ?? '')
    }
    byId('learning-rate', HTMLInputElement).value = String(numbers.learningRate ?? '')
    this.#show()
  }

  async #text(): Promise<string | undefined> {
    const source = checkedValue('source')
    if (source === 'self') return undefined
    if (source === 'paste') return this.#paste.value
    const [file] = this.#file.files ?? []
    if (!file) throw new SkipstoneError('bad-option', 'Choose a file of text.')
    return file.text()
  }

  #show(): void {
    const stage = stageOf()
    const lora = stage === 'lora'
    byId('url-field', HTMLElement).hidden = checkedValue('model') === 'embedded'
    for (const source of ['self', 'paste', 'file']) {
      byId(`${source}-field`, HTMLElement).hidden = checkedValue('source') !== source
    }
    byId('target', HTMLInputElement).disabled = STAGES[stage].decides === undefined
    byId('routers-field', HTMLElement).hidden = stage === 'gateskip'
    const [fresh] = this.#routers.options
    if (fresh) fresh.disabled = lora
    if (lora && this.#routers.value === 'new') this.#routers.value = 'trained'
  }
}

function stageOf(): Stage {
  const value = checkedValue('stage')
  return (Object.keys(STAGES) as Stage[]).find((stage) => stage === value) ?? 'routers'
}

/** Undefined where the field is empty; what is no number becomes one that the library refuses. */
function number(id: string): number | undefined {
  const field = byId(id, HTMLInputElement)
  return field.value === '' && !field.validity.badInput ? undefined : field.valueAsNumber
}
