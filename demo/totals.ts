import type { Model, Session } from '../src/index.js'
import { byId, create } from './dom.js'
import { bytes, count, percent, rate } from './format.js'

/** Figures are shown this often while text streams. */
const INTERVAL_MS = 250

/** The figures beside the text. */
export class Totals {
  readonly #values = new Map<string, HTMLElement>()
  #shown = 0

  constructor() {
    const list = byId('totals', HTMLElement)
    list.replaceChildren()
    const rows = [
      'Skipped',
      'Attention skipped',
      'MLP skipped',
      'Tokens',
      'Prompt speed',
      'Generation speed',
      'Policy',
      'Model',
    ]
    for (const name of [...rows, 'Weights', 'GPU memory', 'Adapter', 'Kernels', 'Optional features']) {
      const value = create('dd', { text: '–' })
      const row = create('div')
      row.append(create('dt', { text: name }), value)
      list.append(row)
      this.#values.set(name, value)
    }
  }

  /** While text streams, as often as it can be read. */
  showSometimes(...state: Parameters<Totals['show']>): void {
    if (performance.now() - this.#shown > INTERVAL_MS) this.show(...state)
  }

  show(model: Model, session: Session, policy: string, live?: { prefill: number; decode: number }): void {
    this.#shown = performance.now()
    const { skip, timings } = session.stats()
    this.#set('Skipped', percent(skip.total))
    this.#set('Attention skipped', percent(skip.attention))
    this.#set('MLP skipped', percent(skip.mlp))
    this.#set('Tokens', String(session.tokens.length))
    this.#set('Prompt speed', rate(live?.prefill ?? timings?.prefillTokensPerSecond ?? 0))
    this.#set('Generation speed', rate(live?.decode ?? timings?.decodeTokensPerSecond ?? 0))
    this.#set('Policy', policy)
    this.showModel(model)
  }

  showModel(model: Model): void {
    const { architecture, layers } = model.config
    this.#set('Model', `${architecture}, ${count(layers, 'layer')}`)
    this.#set('Weights', model.dtype)
    this.#set('GPU memory', bytes(model.gpuBytes))
    byId('software', HTMLElement).hidden = !model.device.software
    this.#set('Kernels', kernels(model))
    this.#set('Adapter', model.adapterName || 'the browser does not say')
  }

  /** What the adapter offers beyond what every WebGPU has. */
  async showFeatures(): Promise<void> {
    const adapter = await navigator.gpu?.requestAdapter().catch(() => null)
    const known = ['shader-f16', 'subgroups', 'timestamp-query'].filter((name) => adapter?.features.has(name))
    this.#set('Optional features', known.join(', ') || 'none')
  }

  clear(): void {
    for (const value of this.#values.values()) value.textContent = '–'
  }

  #set(name: string, text: string): void {
    const value = this.#values.get(name)
    if (value && value.textContent !== text) value.textContent = text
  }
}

function kernels({ device }: Model): string {
  const failed = device.rejected.length > 0 ? `; ${device.rejected.join(', ')} failed the self-test` : ''
  return `${device.kernels}${failed}`
}
