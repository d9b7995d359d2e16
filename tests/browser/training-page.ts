// The page of long/tuning-browsers.test.ts: a run of training by a page's own device.
import { loadEngineModel } from '../../src/sdk/load-model.js'
import { UrlSource } from '../../src/storage/url-source.js'
import type { TrainingSettings } from '../../src/tuning/settings.js'
import { type TrainedStep, TrainingRun } from '../../src/tuning/training-run.js'
import { firstValues } from '../tuning/first-values.js'

/** `model` and `trained`, folders on the page's own server. */
export interface PageRun {
  model: string
  trained: string
  windows: number[][]
  changes: Partial<TrainingSettings>
}

const at = (place: string) => new UrlSource(new URL(place, location.href).href)

async function train({ model: place, trained, windows, changes }: PageRun): Promise<readonly TrainedStep[]> {
  const model = await loadEngineModel(at(place), {})
  const engine = await model.engine()
  const { settings, trained: first, under } = await firstValues(engine.shape, at(trained), changes)
  const ends = new Set(model.config.eosTokenIds)
  const run = await TrainingRun.create(engine.target, engine.weights, {
    settings,
    windows,
    ends,
    trained: first,
    under,
  })
  while (!run.isDone) await run.step()
  const { history } = run
  run.destroy()
  model.dispose()
  return history
}

Object.assign(globalThis, { skipstoneHost: { train } })
