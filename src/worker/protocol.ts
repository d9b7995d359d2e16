import type { WeightDtype } from '../../shaders/snippets/weights.js'
import type { ModelConfig } from '../model/config.js'
import type { GenerationConfig } from '../model/generation-config.js'
import type { EmbedInput, EmbedOptions } from '../sdk/embed-request.js'
import type { LoadPhase } from '../sdk/load-phases.js'
import type { DeviceFacts } from '../sdk/model-api.js'
import type { ChatOptions, LoadOptions, LoadProgress } from '../sdk/options.js'
import type { PolicyRequest } from '../sdk/policies.js'
import type { SessionParts } from '../sdk/session-request.js'
import type { StateChange } from '../sdk/session-state.js'
import type { TuneOptions, TuneRun } from '../sdk/tune-api.js'
import type { ByteRange } from '../storage/source.js'
import type { SweepOptions } from '../study/sweep.js'
import type { ChatMessage } from '../text/chat-template.js'

// What page and worker say to each other. Models and sessions have numbers that the page gives them.

/** What a page sends to a service worker, with a port for everything else. */
export const CONNECT = 'skipstone connect'

/** A model's files: an address, picked files, or a `FileSource` of the page by its number. */
export type WireSource = string | readonly File[] | { readonly source: number; readonly description: string }

/** Options without those that are functions or sources. */
export interface LoadArgs
  extends Pick<LoadOptions, 'dtype' | 'activations' | 'gpuBudget' | 'store' | 'file' | 'hub' | 'profile'> {
  readonly model: number
  readonly source: WireSource
  readonly routers?: WireSource
  readonly lora?: WireSource
}

export interface LoadEvent {
  readonly progress: LoadProgress
}

/** A loaded model as the page knows it. */
export interface ModelFacts {
  readonly config: ModelConfig
  readonly generation: GenerationConfig
  readonly hasRouters: boolean
}

export interface OpenArgs {
  readonly model: number
  readonly session: number
  readonly parts: SessionParts
}

export interface CloneArgs {
  readonly session: number
  readonly as: number
}

export interface PolicyArgs {
  readonly session: number
  readonly request: PolicyRequest
}

export interface CalibrateArgs {
  readonly model: number
  readonly windows: readonly (readonly number[])[] | undefined
}

export interface EmbedArgs {
  readonly model: number
  readonly input: EmbedInput
  readonly options: Omit<EmbedOptions, 'signal' | 'onProgress'>
}

export interface SweepArgs {
  readonly model: number
  readonly windows: readonly (readonly number[])[]
  readonly options: Omit<SweepOptions, 'signal' | 'onProgress'>
}

/** A run of training, by the number that its page gave it. */
export interface TuneArgs {
  readonly model: number
  readonly run: number
  readonly request: TuneRequest
}

export type TuneRequest =
  | { readonly ask: 'begin'; readonly options: Omit<TuneOptions, 'signal' | 'onStep' | 'onProgress'> }
  /** Every step is an event; it ends as the run does, and aborting it aborts the run. */
  | { readonly ask: 'follow' }
  | { readonly ask: 'pause' | 'resume' | 'stop' | 'rates' | 'evaluate' | 'export' | 'use' | 'forget' }

/** What a page has of a run from its beginning. */
export type TuneBegun = Pick<TuneRun, 'key' | 'stage' | 'total' | 'held' | 'steps'>

export interface GenerateArgs {
  readonly session: number
  readonly input: { readonly prompt: string | readonly number[] } | { readonly messages: readonly ChatMessage[] }
  readonly options: Omit<ChatOptions, 'signal'>
}

/** The figures of a model that change. */
export interface ModelState {
  readonly dtype: WeightDtype
  readonly adapterName: string
  readonly device: DeviceFacts
  readonly loadPhases: readonly LoadPhase[]
  readonly gpuBytes: number
}

/** Notes of the worker: they come before the answers that they belong to. */
export interface SessionNote {
  readonly session: number
  readonly change: StateChange
}
export interface LostNote {
  readonly model: number
  readonly message: string
}
export interface WarningNote {
  readonly model: number
  readonly message: string
}
export interface ModelNote {
  readonly model: number
  readonly state: ModelState
}

/** How a page's `FileSource` is read. */
export interface SourceArgs {
  readonly source: number
  readonly read: 'has' | 'size' | 'bytes'
  readonly name: string
  readonly range?: ByteRange | undefined
}
