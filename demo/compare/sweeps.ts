import type { Sweep } from '../../src/index.js'
import type { Comparison, Progress } from './comparison.js'
import type { ModelShelf } from './models.js'
import { plan } from './plan.js'
import { CHOICES, describeModel, modelKey, policyName, type Setting } from './setting.js'

/** What was measured on one model. */
export interface ModelSweep {
  /** How it was loaded, in words. */
  readonly model: string
  readonly sweep: Sweep
}

/** Where the processor computes, a share and a round have to do. */
const effort = (isSoftware: boolean) =>
  isSoftware ? { shares: [0.25], seeds: 1, rounds: 1 } : { shares: [0.1, 0.25, 0.4], seeds: 3, rounds: 3 }

/** On the first model of the comparison all policies that it runs, on others those that their routers decide. */
export async function sweeps(
  { state, runs }: Comparison,
  models: ModelShelf,
  signal: AbortSignal,
  { step, detail }: Progress,
): Promise<ModelSweep[]> {
  const { settings, address } = state
  const ids = runs[0]?.ids ?? []
  const found: ModelSweep[] = []
  const done = new Set<string>()
  for (const index of plan(state)) {
    const setting = settings[index] as Setting
    const key = modelKey(setting, address)
    if (done.has(key)) continue
    done.add(key)
    step('Chart: loading the model…')
    const model = await models.get(setting, address, signal, detail)
    const policies = CHOICES.filter(
      ({ takesShare, needsRouters }) => takesShare && (needsRouters ? model.hasRouters : index === 0),
    ).map(({ policy }) => policy)
    if (policies.length === 0) continue
    step('Chart: measuring loss and speed…')
    const onProgress = (done: number, all: number) => detail(`${done} of ${all}`)
    const options = { ...effort(model.device.software), policies, signal, onProgress }
    found.push({ model: describeModel(setting, address), sweep: await model.sweep([ids], options) })
    detail('')
  }
  return found
}

/** The name of a line, such as “AdaSkip, routers 25 %, with LoRA”. */
export function lineName(policy: string, masked: boolean, model: string): string {
  const choice = CHOICES.find((one) => one.policy === policy)
  const name = choice?.needsRouters ? policyName(policy) : policyName(choice?.id ?? policy)
  return [name, masked ? 'computed all the same' : '', model].filter((part) => part !== '').join(', ')
}
