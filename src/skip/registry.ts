import { SkipstoneError } from '../errors.js'
import { dense } from './dense.js'
import type { Makers } from './makers.js'
import { count, factor, finite, type Option, oneOf, share, slashed, whole } from './options.js'
import type { SkipPolicy } from './policy.js'
import type { PolicyContext, PolicyRequest } from './policy-context.js'
import type { RouterWeights } from './router-weights.js'
import { skipgptPolicy } from './skipgpt.js'

export type { PolicyRequest }

/**
 * What a policy needs besides the model: routers that were loaded with it; weights of its own, in the checkpoint or loaded with it; a skip
 * profile, which is measured where none was given; that profile and budgets for stages; or another policy.
 */
export type PolicyNeeds = 'routers' | 'weights' | 'profile' | 'stages' | 'draft'

interface Entry<O> {
  /** What its options may be. */
  readonly options: { readonly [K in keyof O]: Option<O[K]> }
  /** The option that says which share is skipped. */
  readonly share?: keyof O & string
  /** Its value for a share, where that is another number. */
  valueAt?(share: number): number
  readonly needs?: PolicyNeeds
  /** Options, as text, under which it is another method. */
  readonly variants?: readonly string[]
  /** The option that is a policy itself. */
  readonly inner?: keyof O & string
  /** What its options must be together. @throws `bad-option`. */
  check?(options: O): void
  /** Joins the options with a model's weights. */
  make(options: O, context: PolicyContext): SkipPolicy | Promise<SkipPolicy>
}

type AnyEntry = Entry<Record<string, unknown>>

/** Entries of different options, in one table. */
const entry = <O>(its: Entry<O>) => its as unknown as AnyEntry

/** The entry of a policy that few ask for: what joins it with a model is loaded for them. */
function lazy<K extends keyof Makers>(name: K, its: Omit<Entry<Parameters<Makers[K]>[0]>, 'make'>): AnyEntry {
  const made: AnyEntry['make'] = async (options, context) => {
    const make = (await import('./makers.js')).MAKERS[name] as AnyEntry['make']
    return make(options, context)
  }
  return { ...(its as unknown as AnyEntry), make: made }
}

const POLICIES: Readonly<Record<string, AnyEntry>> = {
  dense: entry({ options: {}, make: () => dense }),
  skipgpt: entry<{ delta: number | undefined; budget: number | undefined; input: 'entry' | 'post-attention' }>({
    options: { delta: finite(undefined), budget: share(undefined), input: oneOf('entry', 'post-attention') },
    share: 'budget',
    needs: 'routers',
    check: ({ delta, budget }) => atMostOne('skipgpt', { delta, budget }),
    async make({ delta = 0, budget, input }, { routers, calibrate }) {
      const policyAt = (delta: number) => skipgptPolicy({ routers: routers as RouterWeights, delta, input })
      return policyAt(budget === undefined ? delta : await calibrate(policyAt, budget))
    },
  }),
  first: lazy('first', { options: { skip: share(0.25) }, share: 'skip' }),
  random: lazy('random', { options: { skip: share(0.25), seed: whole(0) }, share: 'skip' }),
  unified: lazy('unified', {
    options: { speedup: factor(2), form: oneOf('even', 'published') },
    share: 'speedup',
    valueAt: (share) => 1 / (1 - share),
    variants: ['form=published'],
  }),
  shortgpt: lazy('shortgpt', { options: { skip: share(0.25) }, share: 'skip', needs: 'profile' }),
  sleb: lazy('sleb', { options: { skip: share(0.25) }, share: 'skip', needs: 'profile' }),
  adaskip: lazy('adaskip', {
    options: { skip: share(0.25), online: oneOf('true', 'false'), window: count(20) },
    share: 'skip',
    needs: 'profile',
    variants: ['online=false'],
  }),
  litestage: lazy('litestage', { options: { budgets: slashed, stage: count(1) }, needs: 'stages' }),
  gateskip: lazy('gateskip', {
    options: {
      skip: share(undefined),
      threshold: finite(undefined),
      kv: oneOf('own', 'below'),
      prefill: oneOf('threshold', 'quantile'),
    },
    share: 'skip',
    needs: 'weights',
    check: ({ skip, threshold }) => atMostOne('gateskip', { skip, threshold }),
  }),
  dlo: lazy('dlo', {
    options: { threshold: finite(0.5), factor: finite(2), gap: finite(0.05) },
    needs: 'weights',
  }),
  mindskip: lazy('mindskip', {
    options: { threshold: finite(0.5), form: oneOf('sequence', 'token') },
    needs: 'weights',
  }),
  flexidepth: lazy('flexidepth', { options: { threshold: finite(0.5) }, needs: 'weights' }),
  dllm: lazy('dllm', { options: { threshold: finite(0.5) }, needs: 'weights' }),
  layerskip: lazy('layerskip', {
    options: { skip: share(undefined), exit: count(undefined) },
    share: 'skip',
    check: ({ skip, exit }) => atMostOne('layerskip', { skip, exit }),
  }),
  speculative: lazy('speculative', {
    options: { draft: innerPolicy, length: count('adaptive') },
    inner: 'draft',
    needs: 'draft',
  }),
  forced: lazy('forced', { options: { skip: share(0.5), seed: whole(0) }, share: 'skip' }),
}

/** @throws `bad-option` where more than one was given. */
function atMostOne(policy: string, options: Readonly<Record<string, unknown>>): void {
  if (Object.values(options).filter((value) => value !== undefined).length < 2) return
  throw new SkipstoneError('bad-option', `${policy}: give ${Object.keys(options).join(' or ')}, not both.`)
}

/** Names of the policies that run. */
export const POLICY_NAMES = Object.keys(POLICIES)

/**
 * Parses `name` or `name:key=value,key=value`.
 * @throws `unknown-policy`, `bad-option` for a key that the policy does not have.
 */
export function parsePolicy(text: string): PolicyRequest {
  const [name = '', rest] = text.split(/:(.*)/s)
  const options: Record<string, number | string> = {}
  for (const pair of rest ? rest.split(',') : []) {
    const [key = '', value] = pair.split(/=(.*)/s)
    if (value === undefined || value === '') {
      throw new SkipstoneError('bad-option', `The policy option "${pair}" is not of the form key=value.`)
    }
    options[key.trim()] = Number.isNaN(Number(value)) ? value.trim() : Number(value)
  }
  return checkPolicy({ name: name.trim(), options })
}

/** @throws as `parsePolicy`, and `bad-option` for a value out of range. */
export function checkPolicy(request: PolicyRequest): PolicyRequest {
  const values = valuesOf(request)
  entryOf(request).check?.(values)
  return request
}

/** A policy of this version, or a variant of one, as a list for people shows it. */
export interface PolicyInfo {
  /** As it is asked for, without a share: `adaskip`, `adaskip:online=false`. */
  readonly policy: string
  /** The option that sets how much it skips, which `policyAt` does; absent where nothing does. */
  readonly share?: string
  /** Absent where any model runs it. */
  readonly needs?: PolicyNeeds
  /** It draws lots: another seed is another choice. */
  readonly seeded: boolean
}

/** The policies that run, in the order in which they are shown. */
export function policies(): PolicyInfo[] {
  return Object.entries(POLICIES).flatMap(([name, { share, needs, variants = [], options }]) =>
    [name, ...variants.map((variant) => `${name}:${variant}`)].map((policy) => ({
      policy,
      ...(share && { share }),
      ...(needs && { needs }),
      seeded: 'seed' in options,
    })),
  )
}

/**
 * A policy that is asked to skip `share` of the model, 0 to 1, whatever its option for that is called.
 * @throws as `parsePolicy`, and `bad-option` for a policy that takes no share, or one out of range.
 */
export function policyAt(text: string, share: number, seed?: number): PolicyRequest {
  const { name, options } = parsePolicy(text)
  const its = entryOf({ name, options })
  if (!its.share) throw new SkipstoneError('bad-option', `The policy "${name}" takes no share to skip.`)
  const value = its.valueAt?.(share) ?? share
  const seeded = seed !== undefined && 'seed' in its.options
  return checkPolicy({ name, options: { ...options, [its.share]: value, ...(seeded && { seed }) } })
}

/** A request as text, such as "random:skip=0.25,seed=1". */
export function policyText({ name, options }: PolicyRequest): string {
  const pairs = Object.entries(options).map(([key, value]) => `${key}=${value}`)
  return pairs.length > 0 ? `${name}:${pairs}` : name
}

/** @throws `missing-weights` for a policy that needs routers where there are none. */
export function checkRouters(request: PolicyRequest, hasRouters: boolean): void {
  const { needs, inner } = entryOf(request)
  if (inner) checkRouters(valuesOf(request)[inner] as PolicyRequest, hasRouters)
  if (hasRouters || needs !== 'routers') return
  throw new SkipstoneError(
    'missing-weights',
    `The policy "${request.name}" needs router weights: load the model with the option \`routers\` (--routers), a folder with routers.safetensors.`,
  )
}

/** Joins a request with a model's weights. @throws `missing-weights`, `bad-option` for what is out of this model's reach. */
export async function resolvePolicy(request: PolicyRequest, context: PolicyContext): Promise<SkipPolicy> {
  checkRouters(request, context.routers !== undefined)
  return entryOf(request).make(valuesOf(request), context)
}

/** A policy within another one's options, where ',' is taken: `name;key=value;key=value`. */
function innerPolicy(value: number | string | undefined, name: string): PolicyRequest {
  if (typeof value === 'string') return parsePolicy(value.replace(';', ':').replaceAll(';', ','))
  throw new SkipstoneError('bad-option', `${name} is a policy, such as "unified;speedup=2", not ${value}.`)
}

function entryOf({ name }: PolicyRequest): AnyEntry {
  const its = Object.hasOwn(POLICIES, name) ? POLICIES[name] : undefined
  if (its) return its
  const names = POLICY_NAMES.join(', ')
  throw new SkipstoneError('unknown-policy', `There is no policy "${name}"; use ${names}.`)
}

function valuesOf(request: PolicyRequest): Record<string, unknown> {
  const { name, options: given } = request
  const { options } = entryOf(request)
  const names = Object.keys(options)
  for (const key of Object.keys(given)) {
    if (names.includes(key)) continue
    const known = names.length > 0 ? `it has ${names.join(', ')}` : 'it has none'
    throw new SkipstoneError('bad-option', `The policy "${name}" has no option "${key}": ${known}.`)
  }
  return Object.fromEntries(names.map((key) => [key, options[key]?.(given[key], `${name}: ${key}`)]))
}
