import { byId, create, isOn, setOn } from '../dom.js'
import { CHOICES, DTYPES, needsRouters, policyName, ROUTERS, type Setting, takesShare } from './setting.js'
import { FEWEST, MOST, NEW_SETTING, oneOf } from './state.js'

const ROUTER_NAMES: Readonly<Record<Setting['routers'], string>> = {
  '25': 'skip about 25 %',
  '40': 'skip about 40 %',
  '': 'none',
}

interface Fields {
  readonly policy: HTMLSelectElement
  readonly share: HTMLInputElement
  readonly routers: HTMLSelectElement
  readonly lora: HTMLInputElement
  readonly dtype: HTMLSelectElement
  /** Shows the fields that matter. */
  update(embedded: boolean): void
}

/** Two to four settings side by side. */
export class SettingsForm {
  readonly #list = byId('settings-list', HTMLElement)
  readonly #add = byId('add-setting', HTMLButtonElement)
  #fields: Fields[] = []
  #embedded = true

  /** `onChange` tells of settings that come and go; for their fields there is the form's `input`. */
  constructor(private readonly onChange: () => void) {
    this.#list.addEventListener('input', () => this.#update())
    this.#add.addEventListener('click', () => {
      if (!isOn(this.#add)) return
      this.settings = [...this.settings, NEW_SETTING]
      this.#fields.at(-1)?.policy.focus()
      this.onChange()
    })
  }

  get settings(): readonly Setting[] {
    return this.#fields.map(({ policy, share, routers, lora, dtype }) => ({
      policy: policy.value,
      share: Math.round(Math.min(90, Math.max(0, share.valueAsNumber || 0))),
      routers: oneOf(ROUTERS, routers.value, ''),
      lora: lora.checked,
      dtype: oneOf(DTYPES, dtype.value, 'stored'),
    }))
  }

  set settings(settings: readonly Setting[]) {
    this.#list.replaceChildren()
    this.#fields = settings.map((setting, i) => this.#show(setting, i, settings.length > FEWEST))
    setOn(this.#add, settings.length < MOST)
    this.#update()
  }

  /** Only the embedded model comes with a choice of routers. */
  set embedded(embedded: boolean) {
    this.#embedded = embedded
    this.#update()
  }

  #update(): void {
    for (const fields of this.#fields) fields.update(this.#embedded)
  }

  #show(setting: Setting, index: number, removable: boolean): Fields {
    const group = create('fieldset', { className: 'setting' })
    group.append(create('legend', { text: `Setting ${index + 1}` }))
    if (index === 0) group.append(create('p', { className: 'hint', text: 'The others are compared with this one.' }))
    const id = (name: string) => `setting-${index + 1}-${name}`
    const place = (name: string, label: string, field: HTMLElement) => {
      field.id = id(name)
      const row = create('div', { className: 'field' })
      const text = create('label', { text: label })
      text.htmlFor = field.id
      row.append(text, field)
      group.append(row)
      return row
    }
    const policy = select(
      CHOICES.map(({ id }) => [id, policyName(id)]),
      setting.policy,
    )
    const share = create('input')
    Object.assign(share, {
      type: 'number',
      min: '0',
      max: '90',
      step: '1',
      required: true,
      value: String(setting.share),
    })
    const routers = select(
      ROUTERS.map((value) => [value, ROUTER_NAMES[value]]),
      setting.routers,
    )
    const lora = create('input')
    Object.assign(lora, { type: 'checkbox', checked: setting.lora })
    const dtype = select(
      DTYPES.map((value) => [value, value === 'stored' ? 'as stored' : value]),
      setting.dtype,
    )
    place('policy', 'What to skip', policy)
    const shareRow = place('share', 'Share to skip, in %', share)
    const routersRow = place('routers', 'Routers', routers)
    const loraRow = place('lora', 'With their LoRA adapter', lora)
    loraRow.classList.add('tick')
    place('dtype', 'Weights', dtype)
    const hint = create('p', { className: 'hint', text: 'This policy needs routers: choose some.' })
    group.append(hint)
    if (removable) group.append(this.#removeButton(index))
    this.#list.append(group)
    return {
      policy,
      share,
      routers,
      lora,
      dtype,
      update: (embedded) => {
        const now = this.settings[index] ?? setting
        shareRow.hidden = !takesShare(now)
        share.disabled = shareRow.hidden // a number that nobody sees must not keep the form from being sent
        routersRow.hidden = !embedded
        loraRow.hidden = !embedded || now.routers === ''
        hint.hidden = !embedded || !needsRouters(now) || now.routers !== ''
      },
    }
  }

  #removeButton(index: number): HTMLElement {
    const button = create('button', { text: 'Remove' })
    button.type = 'button'
    button.setAttribute('aria-label', `Remove setting ${index + 1}`)
    button.addEventListener('click', () => {
      this.settings = this.settings.filter((_, i) => i !== index)
      this.#add.focus()
      this.onChange()
    })
    const row = create('div', { className: 'buttons' })
    row.append(button)
    return row
  }
}

function select(options: readonly (readonly [value: string, name: string])[], value: string): HTMLSelectElement {
  const element = create('select')
  for (const [name, text] of options) element.add(new Option(text, name, false, name === value))
  return element
}
