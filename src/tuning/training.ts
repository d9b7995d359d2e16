import type { GpuDevice } from '../gpu/device.js'
import type { Gating } from './gating.js'
import type { TrainedLora } from './lora.js'
import type { Parameters, ParameterTensor } from './parameters.js'
import type { ResidualSizes } from './residual-sizes.js'
import type { TrainingSettings } from './settings.js'
import type { StepInput } from './step-input.js'

export interface TrainingInputs {
  readonly settings: TrainingSettings
  /** Of `settings.length` ids each. */
  readonly windows: readonly (readonly number[])[]
  /** Tokens behind which nothing is predicted. */
  readonly ends: ReadonlySet<number>
  /** What trains, as it begins: both logits of every router by official names, a LoRA, or gates. */
  readonly trained: readonly ParameterTensor[]
  /** Of a LoRA: the routers under which it trains, and which stay as they are. */
  readonly under?: readonly ParameterTensor[] | undefined
}

/** What a stage trains, and how its steps go. */
export interface Training {
  /** What trains. */
  readonly parameters: Parameters
  readonly gating: Gating
  readonly lora?: TrainedLora
  /** What batches of step n are told, counted from 0; `counter` counts batches over all steps. */
  input(step: number, counter: number): Pick<StepInput, 'noise' | 'executeRate' | 'coefficient'> & { tau: number }
  /** The share of the learning rate at step n. */
  rate(step: number): number
  /** What the learning rate of each parameter is multiplied by, in a model with residuals of these sizes. Default: 1. */
  rates?(sizes: readonly ResidualSizes[]): Float32Array<ArrayBuffer>
  /** How many times its least mean the loss may reach before the run counts as diverged. */
  readonly mayRise: number
}

/** Makes what a stage needs on a device; `own` destroys it later. */
export type MakeTraining = (
  gpu: GpuDevice,
  inputs: TrainingInputs,
  own: <T extends { destroy(): void }>(part: T) => T,
) => Training | Promise<Training>
