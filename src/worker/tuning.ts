import { SkipstoneError } from '../errors.js'
import type { EngineModel } from '../sdk/model.js'
import type { TuneRun } from '../sdk/tune-api.js'
import type { Incoming } from './channel.js'
import type { TuneArgs, TuneBegun } from './protocol.js'

interface Open {
  readonly run: TuneRun
  readonly abort: AbortController
}

/** By what a page has of a model: its runs by their numbers. They are gone with it. */
const runs = new WeakMap<object, Map<number, Open>>()

/** The worker's end of a page's runs of training. `changed` is called when the model's memory may be another. */
export async function answerTuning(
  held: { readonly model: EngineModel },
  { run: number, request }: TuneArgs,
  incoming: Incoming,
  changed: () => void,
): Promise<unknown> {
  const open = runs.get(held) ?? new Map<number, Open>()
  runs.set(held, open)
  if (request.ask === 'begin') {
    const made = await begin(held.model, request.options, incoming)
    open.set(number, made)
    changed()
    const { key, stage, total, held: windows, steps } = made.run
    return { key, stage, total, held: windows, steps: [...steps] } satisfies TuneBegun
  }
  const found = open.get(number)
  if (!found) throw new SkipstoneError('disposed', 'This run of training is gone: begin it again.')
  const { run } = found
  if (request.ask === 'follow') return follow(found, incoming).finally(changed)
  if (request.ask === 'evaluate') return run.evaluate({ signal: incoming.signal }).finally(changed)
  return run[request.ask]()
}

/** What aborts the call aborts the run that it begins; afterwards, what follows the run does. */
async function begin(
  model: EngineModel,
  options: Extract<TuneArgs['request'], { ask: 'begin' }>['options'],
  { signal, emit }: Incoming,
): Promise<Open> {
  const abort = new AbortController()
  const onProgress = (done: number, all: number) => emit({ done, all })
  const run = await model.tune({ ...options, signal: AbortSignal.any([signal, abort.signal]), onProgress })
  return { run, abort }
}

async function follow({ run, abort }: Open, { signal, emit }: Incoming): Promise<void> {
  if (signal.aborted) abort.abort()
  signal.addEventListener('abort', () => abort.abort())
  for await (const step of run) emit(step)
}
