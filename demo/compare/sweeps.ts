import type { Series } from './chart.js'
import type { Comparison, Progress } from './comparison.js'
import type { ModelShelf } from './models.js'
import { plan } from './plan.js'
import { describeModel, modelKey, POLICIES, POLICY_NAMES, type Setting, takesShare } from './setting.js'
import { sweep } from './sweep.js'

/**
 * A line for each model of the comparison that has routers; and on the first model one for each policy of the settings that takes a share, and
 * one by lot.
 */
export async function sweeps(
  { state, runs }: Comparison,
  models: ModelShelf,
  signal: AbortSignal,
  { step, detail }: Progress,
): Promise<Series[]> {
  const { settings, address, seed } = state
  const ids = runs[0]?.ids ?? []
  const lines: Series[] = []
  const done = new Set<string>()
  const onPhase = (text: string) => step(`Chart: ${text}…`)
  for (const index of plan(state)) {
    const setting = settings[index] as Setting
    const key = modelKey(setting, address)
    if (done.has(key)) continue
    done.add(key)
    onPhase('loading the model')
    const model = await models.get(setting, address, signal, detail)
    detail('')
    const name = (policy: string) => [policy, describeModel(setting, address)].filter((part) => part !== '').join(', ')
    const options = { signal, onPhase }
    const line = (policy: Setting['policy'], title: string) =>
      sweep(model, { ...setting, policy }, name(title), ids, seed, options)
    if (model.hasRouters) lines.push(await line('budget', 'SkipGPT'))
    if (index > 0) continue
    for (const policy of POLICIES) {
      const isAsked = policy === 'forced' || settings.some((one) => one.policy === policy)
      if (isAsked && policy !== 'budget' && takesShare({ policy })) lines.push(await line(policy, POLICY_NAMES[policy]))
    }
  }
  return lines
}
