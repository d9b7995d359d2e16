import type { Series } from './chart.js'
import type { Comparison, Progress } from './comparison.js'
import type { ModelShelf } from './models.js'
import { plan } from './plan.js'
import { describeModel, modelKey, type Setting } from './setting.js'
import { sweep } from './sweep.js'

/** A line for each model of the comparison that has routers, and one by lot on the first model. */
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
    if (model.hasRouters) lines.push(await sweep(model, 'budget', name('SkipGPT'), ids, seed, options))
    if (index === 0) lines.push(await sweep(model, 'forced', name('By lot'), ids, seed, options))
  }
  return lines
}
