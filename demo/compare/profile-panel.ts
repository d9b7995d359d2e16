import { type Model, type SkipProfile, SkipstoneError } from '../../src/index.js'
import { byId, isOn, setOn } from '../dom.js'
import { count } from '../format.js'
import { save } from './export.js'

/** Long enough for a mean, short enough for progress to be seen. */
const WINDOW = 256
const NOBODYS = 'In use: the one that lies beside the model, or one of text that it samples itself.'

/** The skip profile that policies of this page go by. */
export class ProfilePanel {
  readonly #text = byId('profile-text', HTMLTextAreaElement)
  readonly #now = byId('profile-now', HTMLElement)
  readonly #file = byId('profile-file', HTMLInputElement)
  readonly #calibrate = byId('calibrate', HTMLButtonElement)
  readonly #open = byId('open-profile', HTMLButtonElement)
  readonly #save = byId('save-profile', HTMLButtonElement)
  readonly #forget = byId('forget-profile', HTMLButtonElement)
  #profile: SkipProfile | undefined

  constructor(
    private readonly on: {
      calibrate(): void
      open(file: File): void
      change(profile: SkipProfile | undefined): void
    },
  ) {
    this.#calibrate.addEventListener('click', () => isOn(this.#calibrate) && on.calibrate())
    this.#open.addEventListener('click', () => isOn(this.#open) && this.#file.click())
    this.#file.addEventListener('change', () => {
      const [file] = this.#file.files ?? []
      this.#file.value = ''
      if (file) on.open(file)
    })
    this.#save.addEventListener('click', () => {
      if (isOn(this.#save)) save('skip-profile.json', `${JSON.stringify(this.#profile)}\n`)
    })
    this.#forget.addEventListener('click', () => isOn(this.#forget) && this.use(undefined, ''))
  }

  /** `idle`: the page is free for something to do. */
  show(idle: boolean): void {
    for (const button of [this.#calibrate, this.#open]) setOn(button, idle)
    for (const button of [this.#save, this.#forget]) setOn(button, idle && this.#profile !== undefined)
  }

  use(profile: SkipProfile | undefined, from: string): void {
    this.#profile = profile
    this.#now.textContent = profile ? `In use: measured on ${count(profile.tokens, 'token')}${from}.` : NOBODYS
    this.on.change(profile)
  }

  /** Measures a model on the text of the field, or else on the prompt. */
  async calibrate(
    model: Model,
    prompt: string,
    options: { signal: AbortSignal; onProgress: (done: number, all: number) => void },
  ): Promise<void> {
    const given = this.#text.value.trim()
    const ids = await model.text.encode(given === '' ? prompt : given)
    const profile = await model.calibrate(windowsOf(ids, Math.min(WINDOW, model.config.contextLength)), options)
    this.use(profile, given === '' ? ' of the prompt' : ' of your text')
  }
}

function windowsOf(ids: readonly number[], length: number): number[][] {
  const starts = Array.from({ length: Math.ceil(ids.length / length) }, (_, i) => i * length)
  return starts.map((start) => ids.slice(start, start + length))
}

/** @throws `bad-file` for what is no JSON. */
export async function readProfileFile(file: File): Promise<SkipProfile> {
  try {
    return JSON.parse(await file.text()) as SkipProfile
  } catch (cause) {
    throw new SkipstoneError('bad-file', `${file.name} is no skip profile: it is not JSON.`, { cause })
  }
}
