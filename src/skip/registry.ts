import { SkipstoneError } from '../errors.js'
import { dense } from './dense.js'
import { forced } from './forced.js'
import { count, factor, finite, type Option, oneOf, share, whole } from './options.js'
import type { Drafts, SkipPolicy } from './policy.js'
import type { SkipProfile } from './profile.js'
import type { RouterWeights } from './router-weights.js'
import { skipgptPolicy } from './skipgpt.js'
import type { UnifiedForm } from './unified.js'

/** A policy as a user asks for it: a name and options, not yet joined with a model's weights. */
export interface PolicyRequest {
  readonly name: string
  readonly options: Readonly<Record<string, number | string>>
}

/** What a policy may need of the model that it is used with. */
export interface PolicyContext {
  readonly layers: number
  readonly routers: RouterWeights | undefined
  /** The model's profile: the one that was given, or else one that is measured now. */
  profile(): Promise<SkipProfile>
  /** Joins another request with the same model. */
  resolve(request: PolicyRequest): Promise<SkipPolicy>
  /** The mean loss of a policy on ids, per predicted token. */
  loss(policy: SkipPolicy, ids: readonly number[]): Promise<number>
  /** What `find` finds for a key, once for the model. */
  once<T>(key: string, find: () => Promise<T>): Promise<T>
  /** Finds the δ at which the policy skips `budget` of the model. */
  calibrate(policyAt: (delta: number) => SkipPolicy, budget: number): Promise<number>
}

interface Entry<O> {
  /** What its options may be. */
  readonly options: { readonly [K in keyof O]: Option<O[K]> }
  /** The option that says which share is skipped. */
  readonly share?: keyof O & string
  /** It needs routers that were loaded with the model. */
  readonly needsRouters?: true
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

const POLICIES: Readonly<Record<string, AnyEntry>> = {
  dense: entry({ options: {}, make: () => dense }),
  forced: entry<{ skip: number; seed: number }>({
    options: { skip: share(0.5), seed: whole(0) },
    share: 'skip',
    make: forced,
  }),
  skipgpt: entry<{ delta: number | undefined; budget: number | undefined; input: 'entry' | 'post-attention' }>({
    options: { delta: finite(undefined), budget: share(undefined), input: oneOf('entry', 'post-attention') },
    share: 'budget',
    needsRouters: true,
    check: ({ delta, budget }) => {
      if (delta === undefined || budget === undefined) return
      throw new SkipstoneError('bad-option', 'skipgpt: give delta or budget, not both; a budget chooses its delta.')
    },
    async make({ delta = 0, budget, input }, { routers, calibrate }) {
      const policyAt = (delta: number) => skipgptPolicy({ routers: routers as RouterWeights, delta, input })
      return policyAt(budget === undefined ? delta : await calibrate(policyAt, budget))
    },
  }),
  first: entry<{ skip: number }>({
    options: { skip: share(0.25) },
    share: 'skip',
    make: async ({ skip }, { layers }) => (await import('./first.js')).first({ skip, layers }),
  }),
  random: entry<{ skip: number; seed: number }>({
    options: { skip: share(0.25), seed: whole(0) },
    share: 'skip',
    make: async (o, { layers }) => (await import('./random.js')).random({ ...o, layers }),
  }),
  unified: entry<{ speedup: number; form: UnifiedForm }>({
    options: { speedup: factor(2), form: oneOf('even', 'published') },
    make: async (o, { layers }) => (await import('./unified.js')).unified({ ...o, layers }),
  }),
  shortgpt: entry<{ skip: number }>({
    options: { skip: share(0.25) },
    share: 'skip',
    make: async ({ skip }, { profile }) => (await import('./shortgpt.js')).shortgpt({ skip, profile: await profile() }),
  }),
  sleb: entry<{ skip: number }>({
    options: { skip: share(0.25) },
    share: 'skip',
    make: ({ skip }, { layers, profile, loss, once }) =>
      once(`sleb ${skip}`, async () => {
        const { sleb } = await import('./sleb.js')
        const { sample } = await profile()
        return sleb({ skip, layers, loss: (policy) => loss(policy, sample) })
      }),
  }),
  adaskip: entry<{ skip: number; online: 'true' | 'false'; window: number }>({
    options: { skip: share(0.25), online: oneOf('true', 'false'), window: count(20) },
    share: 'skip',
    make: async ({ skip, online, window }, { profile }) =>
      (await import('./adaskip.js')).adaskip({ skip, online: online === 'true', window, profile: await profile() }),
  }),
  speculative: entry<{ draft: PolicyRequest; length: Drafts['length'] }>({
    options: { draft: innerPolicy, length: count('adaptive') },
    inner: 'draft',
    make: async ({ draft, length }, { resolve, layers }) => {
      const { speculative } = await import('./speculative.js')
      return speculative({ draft: await resolve(draft), length, layers })
    },
  }),
}

/** Policies that the design names and that a later version brings. */
const PLANNED = ['litestage', 'gateskip', 'dlo', 'mindskip', 'dllm', 'flexidepth']

/** Names of the policies that run. */
export const POLICY_NAMES = Object.keys(POLICIES)

/**
 * Parses `name` or `name:key=value,key=value`.
 * @throws `unknown-policy`, `unsupported` (planned), `bad-option` for a key that the policy does not have.
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

/** The option with which a policy takes the share that it skips; undefined where it takes none. */
export function shareOption(name: string): string | undefined {
  return Object.hasOwn(POLICIES, name) ? POLICIES[name]?.share : undefined
}

/** @throws `missing-weights` for a policy that needs routers where there are none. */
export function checkRouters(request: PolicyRequest, hasRouters: boolean): void {
  const { needsRouters, inner } = entryOf(request)
  if (inner) checkRouters(valuesOf(request)[inner] as PolicyRequest, hasRouters)
  if (hasRouters || !needsRouters) return
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
  if (PLANNED.includes(name))
    throw new SkipstoneError('unsupported', `The policy "${name}" is not in this version; use ${names}.`)
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
