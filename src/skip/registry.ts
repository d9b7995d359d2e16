import { SkipstoneError } from '../errors.js'
import { dense } from './dense.js'
import { forced } from './forced.js'
import type { SkipPolicy } from './policy.js'
import type { SkipProfile } from './profile.js'
import type { RouterWeights } from './router-weights.js'
import { skipgptPolicy } from './skipgpt.js'

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
  /** The mean loss of a policy on ids, per predicted token. */
  loss(policy: SkipPolicy, ids: readonly number[]): Promise<number>
  /** What `find` finds for a key, once for the model. */
  once<T>(key: string, find: () => Promise<T>): Promise<T>
  /** Finds the δ at which the policy skips `budget` of the model. */
  calibrate(policyAt: (delta: number) => SkipPolicy, budget: number): Promise<number>
}

type Resolver = (context: PolicyContext) => SkipPolicy | Promise<SkipPolicy>

interface Entry {
  readonly keys: readonly string[]
  /** The key that says which share is skipped. */
  readonly share?: string
  /** Checks the options' values, and returns what joins them with a model's weights. */
  prepare(options: PolicyRequest['options']): Resolver
}

const POLICIES: Readonly<Record<string, Entry>> = {
  dense: { keys: [], prepare: () => () => dense },
  forced: {
    keys: ['skip', 'seed'],
    share: 'skip',
    prepare: (o) => {
      const policy = forced({ skip: number('skip', o.skip ?? 0.5), seed: number('seed', o.seed ?? 0) })
      return () => policy
    },
  },
  skipgpt: { keys: ['delta', 'budget', 'input'], share: 'budget', prepare: prepareSkipgpt },
  first: {
    keys: ['skip'],
    share: 'skip',
    prepare: (o) => {
      const skip = share('first', 'skip', o.skip)
      return async ({ layers }) => (await import('./first.js')).first({ skip, layers })
    },
  },
  random: {
    keys: ['skip', 'seed'],
    share: 'skip',
    prepare: (o) => {
      const skip = share('random', 'skip', o.skip)
      const seed = whole('random', 'seed', o.seed ?? 0)
      return async ({ layers }) => (await import('./random.js')).random({ skip, seed, layers })
    },
  },
  unified: { keys: ['speedup', 'form'], prepare: prepareUnified },
  shortgpt: {
    keys: ['skip'],
    share: 'skip',
    prepare: (o) => {
      const skip = share('shortgpt', 'skip', o.skip)
      return async ({ profile }) => (await import('./shortgpt.js')).shortgpt({ skip, profile: await profile() })
    },
  },
  sleb: {
    keys: ['skip'],
    share: 'skip',
    prepare: (o) => {
      const skip = share('sleb', 'skip', o.skip)
      return ({ layers, profile, loss, once }) =>
        once(`sleb ${skip}`, async () => {
          const { sleb } = await import('./sleb.js')
          const { sample } = await profile()
          return sleb({ skip, layers, loss: (policy) => loss(policy, sample) })
        })
    },
  },
  adaskip: { keys: ['skip', 'online', 'window'], share: 'skip', prepare: prepareAdaskip },
}

/** Policies that the design names and that a later version brings. */
const PLANNED = ['litestage', 'gateskip', 'dlo', 'mindskip', 'dllm', 'flexidepth', 'speculative']

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
  prepare(request)
  return request
}

/** The option with which a policy takes the share that it skips; undefined where it takes none. */
export function shareOption(name: string): string | undefined {
  return Object.hasOwn(POLICIES, name) ? POLICIES[name]?.share : undefined
}

/** Joins a request with a model's weights. */
export async function resolvePolicy(request: PolicyRequest, context: PolicyContext): Promise<SkipPolicy> {
  return prepare(request)(context)
}

function prepare(request: PolicyRequest): Resolver {
  const entry = Object.hasOwn(POLICIES, request.name) ? POLICIES[request.name] : undefined
  if (!entry) {
    const planned = PLANNED.includes(request.name)
    throw new SkipstoneError(
      planned ? 'unsupported' : 'unknown-policy',
      planned
        ? `The policy "${request.name}" is not in this version; use ${POLICY_NAMES.join(', ')}.`
        : `There is no policy "${request.name}"; use ${POLICY_NAMES.join(', ')}.`,
    )
  }
  for (const key of Object.keys(request.options)) {
    if (entry.keys.includes(key)) continue
    const known = entry.keys.length > 0 ? `it has ${entry.keys.join(', ')}` : 'it has none'
    throw new SkipstoneError('bad-option', `The policy "${request.name}" has no option "${key}": ${known}.`)
  }
  return entry.prepare(request.options)
}

function prepareSkipgpt(options: PolicyRequest['options']): Resolver {
  const input = options.input ?? 'entry'
  if (input !== 'entry' && input !== 'post-attention') {
    throw new SkipstoneError('bad-option', `skipgpt: input is "entry" or "post-attention", not "${input}".`)
  }
  if (options.budget !== undefined && options.delta !== undefined) {
    throw new SkipstoneError('bad-option', 'skipgpt: give delta or budget, not both; a budget chooses its delta.')
  }
  const delta = number('delta', options.delta ?? 0)
  const budget = options.budget === undefined ? undefined : share('skipgpt', 'budget', options.budget)
  return async ({ routers, calibrate }) => {
    if (!routers) {
      throw new SkipstoneError(
        'missing-weights',
        'The policy "skipgpt" needs router weights: give --routers (or the option `routers`) a folder with routers.safetensors.',
      )
    }
    const policyAt = (delta: number) => skipgptPolicy({ routers, delta, input })
    return policyAt(budget === undefined ? delta : await calibrate(policyAt, budget))
  }
}

function prepareUnified(options: PolicyRequest['options']): Resolver {
  const speedup = number('speedup', options.speedup ?? 2)
  if (speedup < 1) throw new SkipstoneError('bad-option', `unified: speedup is 1 or more, not ${speedup}.`)
  const form = options.form ?? 'even'
  if (form !== 'even' && form !== 'published') {
    throw new SkipstoneError('bad-option', `unified: form is "even" or "published", not "${form}".`)
  }
  return async ({ layers }) => (await import('./unified.js')).unified({ speedup, form, layers })
}

function prepareAdaskip(options: PolicyRequest['options']): Resolver {
  const skip = share('adaskip', 'skip', options.skip)
  const online = options.online ?? 'true'
  if (online !== 'true' && online !== 'false') {
    throw new SkipstoneError('bad-option', `adaskip: online is true or false, not "${online}".`)
  }
  const window = whole('adaskip', 'window', options.window ?? 20)
  if (window < 1) throw new SkipstoneError('bad-option', `adaskip: window is 1 or more, not ${window}.`)
  return async ({ profile }) => {
    const { adaskip } = await import('./adaskip.js')
    return adaskip({ skip, online: online === 'true', window, profile: await profile() })
  }
}

/** A share that a policy skips; the default is that of all that have one. */
function share(policy: string, key: string, value: number | string = 0.25): number {
  const its = number(key, value)
  if (its >= 0 && its <= 1) return its
  throw new SkipstoneError('bad-option', `${policy}: ${key} is a share between 0 and 1, not ${its}.`)
}

function whole(policy: string, key: string, value: number | string): number {
  if (Number.isInteger(value)) return value as number
  throw new SkipstoneError('bad-option', `${policy}: ${key} is a whole number, not ${value}.`)
}

function number(key: string, value: number | string): number {
  if (Number.isFinite(value)) return value as number
  throw new SkipstoneError('bad-option', `The policy option ${key} is a finite number, not "${value}".`)
}
