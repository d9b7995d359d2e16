import { type LoadOptions, type PolicyRequest, policies, policyAt, policy as policyFromText } from '../../src/index.js'

/** What a setting can skip by. */
export interface Choice {
  /** In links. */
  readonly id: string
  readonly policy: string
  readonly takesShare: boolean
  readonly needsRouters: boolean
}

/** All that a model runs without more weights than its routers. Those that routers decide can also be taken as they were trained. */
export const CHOICES: readonly Choice[] = policies().flatMap(({ policy, share, needs }): Choice[] => {
  const its = { policy, takesShare: share !== undefined, needsRouters: needs === 'routers' }
  if (needs === undefined || needs === 'profile') return [{ ...its, id: policy }]
  if (needs !== 'routers') return []
  return [{ ...its, id: policy, takesShare: false }, ...(share ? [{ ...its, id: share }] : [])]
})
export const ROUTERS = ['25', '40', ''] as const
export const DTYPES = ['stored', 'f16', 'q8', 'q4'] as const satisfies readonly LoadOptions['dtype'][]

/** One column: what is skipped, and how the model is loaded for it. */
export interface Setting {
  /** The id of a choice. */
  readonly policy: string
  /** Per cent to skip, where the policy takes a share. */
  readonly share: number
  /** Of the embedded model: which routers, '' for none. */
  readonly routers: (typeof ROUTERS)[number]
  /** Whether the adapter that was trained with these routers is merged. */
  readonly lora: boolean
  readonly dtype: (typeof DTYPES)[number]
}

/** By id; a policy that is not here goes by its own name. */
const NAMES: Readonly<Record<string, string>> = {
  dense: 'Dense',
  skipgpt: 'SkipGPT',
  budget: 'SkipGPT with a budget',
  adaskip: 'AdaSkip',
  'adaskip:online=false': 'AdaSkip, offline only',
  shortgpt: 'ShortGPT',
  sleb: 'SLEB',
  unified: 'Unified layer skipping',
  'unified:form=published': 'Unified, as published',
  random: 'Sublayers by lot',
  first: 'The first sublayers',
  forced: 'By lot',
}

export function policyName(id: string): string {
  return NAMES[id] ?? id
}

function choiceOf({ policy }: Pick<Setting, 'policy'>): Choice {
  return CHOICES.find(({ id }) => id === policy) as Choice
}

export function takesShare(setting: Pick<Setting, 'policy'>): boolean {
  return choiceOf(setting).takesShare
}

export function needsRouters(setting: Pick<Setting, 'policy'>): boolean {
  return choiceOf(setting).needsRouters
}

export function policyRequest(setting: Pick<Setting, 'policy' | 'share'>, seed: number): PolicyRequest {
  const { policy, takesShare } = choiceOf(setting)
  return takesShare ? policyAt(policy, setting.share / 100, seed) : policyFromText(policy)
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
  const name = policyName(setting.policy)
  const policy = takesShare(setting) ? `${name} ${setting.share} %` : name
  return [policy, describeModel(setting, address)].filter((part) => part !== '').join(', ')
}
