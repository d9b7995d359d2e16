import { CHOICES, DTYPES, ROUTERS, type Setting } from './setting.js'

/** All that the page is asked; the hash of its URL holds it, so that a link shows another person the same. */
export interface State {
  readonly prompt: string
  readonly maxTokens: number
  readonly temperature: number
  readonly seed: number
  /** Where the model is; '' is the embedded one. */
  readonly address: string
  readonly settings: readonly Setting[]
}

export const FEWEST = 2
export const MOST = 4

const DENSE: Setting = { policy: 'dense', share: 30, routers: '25', lora: true, dtype: 'stored' }

export const DEFAULT_STATE: State = {
  prompt: 'Once upon a time, there was a',
  maxTokens: 60,
  temperature: 0,
  seed: 1,
  address: '',
  settings: [DENSE, { ...DENSE, policy: 'skipgpt' }],
}

/** What a new column begins with. */
export const NEW_SETTING: Setting = { ...DENSE, policy: 'budget' }

export function toHash(state: State): string {
  const params = new URLSearchParams()
  params.set('prompt', state.prompt)
  params.set('tokens', String(state.maxTokens))
  params.set('temperature', String(state.temperature))
  params.set('seed', String(state.seed))
  if (state.address !== '') params.set('model', state.address)
  for (const { policy, share, routers, lora, dtype } of state.settings) {
    params.append('s', [policy, share, routers || 'none', lora ? 'lora' : 'plain', dtype].join('.'))
  }
  return `#${params}`
}

/** Reads a hash that anyone may have written: what is missing or makes no sense becomes the default. */
export function fromHash(hash: string): State {
  const params = new URLSearchParams(hash.replace(/^#/, ''))
  const number = (name: string, fallback: number, low: number, high: number, whole = true) => {
    const text = params.get(name)
    const value = text === null || text.trim() === '' ? Number.NaN : Number(text)
    return value >= low && value <= high && (!whole || Number.isInteger(value)) ? value : fallback
  }
  const settings = params.getAll('s').slice(0, MOST).map(readSetting)
  while (settings.length > 0 && settings.length < FEWEST) settings.push(NEW_SETTING)
  return {
    prompt: params.get('prompt') ?? DEFAULT_STATE.prompt,
    maxTokens: number('tokens', DEFAULT_STATE.maxTokens, 1, 1_000_000),
    temperature: number('temperature', DEFAULT_STATE.temperature, 0, 5, false),
    seed: number('seed', DEFAULT_STATE.seed, 0, 0xffff_ffff),
    address: (params.get('model') ?? '').trim(),
    settings: settings.length > 0 ? settings : DEFAULT_STATE.settings,
  }
}

function readSetting(text: string): Setting {
  const [policy, share, routers, lora, dtype] = text.split('.')
  const percent = /^\d+$/.test(share ?? '') ? Number(share) : DENSE.share
  return {
    policy: CHOICES.some(({ id }) => id === policy) ? (policy as string) : DENSE.policy,
    share: Math.min(90, percent),
    routers: oneOf(ROUTERS, routers === 'none' ? '' : routers, DENSE.routers),
    lora: lora !== 'plain',
    dtype: oneOf(DTYPES, dtype, DENSE.dtype),
  }
}

export function oneOf<T extends string>(values: readonly T[], value: string | undefined, fallback: T): T {
  return values.find((known) => known === value) ?? fallback
}
