import type { GateTensors } from './gate-tensors.js'
import type { SkipPolicy } from './policy.js'
import type { SkipProfile } from './profile.js'
import type { Margins } from './quantile.js'
import type { RouterWeights } from './router-weights.js'

/** A policy as a user asks for it: a name and options, not yet joined with a model's weights. */
export interface PolicyRequest {
  readonly name: string
  readonly options: Readonly<Record<string, number | string>>
}

/** What a policy may need of the model that it is used with. */
export interface PolicyContext {
  readonly layers: number
  readonly hiddenSize: number
  readonly routers: RouterWeights | undefined
  /** Those of these normalised names: of the file that was given with the model, where it has some, else of the model's own files. */
  tensors(names: RegExp): Promise<GateTensors>
  /** The model's profile: the one that was given, or else one that is measured now. */
  profile(): Promise<SkipProfile>
  /** Joins another request with the same model. */
  resolve(request: PolicyRequest): Promise<SkipPolicy>
  /** The margins of a policy's decisions on text that the model samples itself, by sublayer. */
  readonly margins: Margins
  /** The mean loss of a policy on ids, per predicted token. */
  loss(policy: SkipPolicy, ids: readonly number[]): Promise<number>
  /** What `find` finds for a key, once for the model. */
  once<T>(key: string, find: () => Promise<T>): Promise<T>
  /** Finds the δ at which the policy skips `budget` of the model. */
  calibrate(policyAt: (delta: number) => SkipPolicy, budget: number): Promise<number>
}
