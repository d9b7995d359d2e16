import {
  dense,
  forced,
  type LoadOptions,
  type PolicyRequest,
  policy as policyFromText,
  skipgpt,
} from '../../src/index.js'

/** Of these, the model needs no weights of its own. */
const UNTRAINED = ['adaskip', 'shortgpt', 'sleb', 'unified', 'random', 'first'] as const
export const POLICIES = ['dense', 'skipgpt', 'budget', ...UNTRAINED, 'forced'] as const
export const ROUTERS = ['25', '40', ''] as const
export const DTYPES = ['stored', 'f16', 'q8', 'q4'] as const satisfies readonly LoadOptions['dtype'][]

/** One column: what is skipped, and how the model is loaded for it. */
export interface Setting {
  readonly policy: (typeof POLICIES)[number]
  /** Per cent to skip, where the policy takes a share. */
  readonly share: number
  /** Of the embedded model: which routers, '' for none. */
  readonly routers: (typeof ROUTERS)[number]
  /** Whether the adapter that was trained with these routers is merged. */
  readonly lora: boolean
  readonly dtype: (typeof DTYPES)[number]
}

export const POLICY_NAMES: Readonly<Record<Setting['policy'], string>> = {
  dense: 'Dense',
  skipgpt: 'SkipGPT',
  budget: 'SkipGPT with a budget',
  adaskip: 'AdaSkip',
  shortgpt: 'ShortGPT',
  sleb: 'SLEB',
  unified: 'Unified layer skipping',
  random: 'Sublayers by lot',
  first: 'The first sublayers',
  forced: 'By lot',
}

export function takesShare({ policy }: Pick<Setting, 'policy'>): boolean {
  return policy !== 'dense' && policy !== 'skipgpt'
}

export function needsRouters({ policy }: Setting): boolean {
  return policy === 'budget' || policy === 'skipgpt'
}

export function policyRequest({ policy, share }: Setting, seed: number): PolicyRequest {
  switch (policy) {
    case 'dense':
      return dense()
    case 'skipgpt':
      return skipgpt()
    case 'budget':
      return skipgpt({ budget: share / 100 })
    case 'forced':
      return forced({ skip: share / 100, seed })
    case 'random':
      return policyFromText(`random:skip=${share / 100},seed=${seed}`)
    case 'unified':
      return policyFromText(`unified:speedup=${100 / (100 - share)}`)
    default:
      return policyFromText(`${policy}:skip=${share / 100}`)
  }
}

/** The same for settings that one loaded model serves. `address` is '' for the embedded model. */
export function modelKey({ routers, lora, dtype }: Setting, address: string): string {
  return JSON.stringify(address === '' ? [routers, lora && routers !== '', dtype] : [address, dtype])
}

/** How the model is loaded, in words; '' where there is nothing to say. */
export function describeModel({ routers, lora, dtype }: Setting, address: string): string {
  const parts: string[] = []
  if (address === '') {
    parts.push(routers === '' ? 'no routers' : `routers ${routers} %`)
    if (routers !== '') parts.push(lora ? 'with LoRA' : 'without LoRA')
  }
  if (dtype !== 'stored') parts.push(dtype)
  return parts.join(', ')
}

/** The setting in words, such as “SkipGPT with a budget 30 %, routers 25 %, with LoRA, q8”. */
export function describeSetting(setting: Setting, address: string): string {
  const name = POLICY_NAMES[setting.policy]
  const policy = takesShare(setting) ? `${name} ${setting.share} %` : name
  return [policy, describeModel(setting, address)].filter((part) => part !== '').join(', ')
}
