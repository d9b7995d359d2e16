import { SkipstoneError } from '../errors.js'
import type { Engine } from '../runtime/engine.js'
import type { RuntimeShape } from '../runtime/shape.js'
import { checksum } from '../storage/checksum.js'
import { tuningMemory } from '../storage/tuning-memory.js'
import { profiledModel } from '../study/calibrate.js'
import { loraSizes } from '../tuning/initial.js'
import { checkBuffers } from '../tuning/memory.js'
import { sampleWindows } from '../tuning/own-text.js'
import type { ParameterTensor } from '../tuning/parameters.js'
import { defaultSettings, type TrainingSettings } from '../tuning/settings.js'
import { streamSeed } from '../tuning/streams.js'
import { TrainingRun, type TrainingState } from '../tuning/training-run.js'
import { cutWindows, holdOut, joinDocuments, type TrainingText } from '../tuning/windows.js'
import type { TuneData, TuneOptions } from './tune-api.js'
import type { TuneHost } from './tune-host.js'
import { EngineTuneRun } from './tune-run.js'
import { TUNE_STAGES } from './tune-stages/index.js'

/** Windows that a model samples where nobody says how many: more than most runs draw twice, and minutes on a small GPU. */
const MOST_SAMPLED = 512

/** Begins a run of `model.tune`, or goes on with one that was kept. */
export async function tune(engine: Engine, host: TuneHost, options: TuneOptions): Promise<EngineTuneRun> {
  const settings = settingsOf(engine.shape, options)
  const stage = await TUNE_STAGES[settings.stage]()
  const { trained, under } = await stage.begin(host, engine.shape, settings, options.existing)
  checkBuffers(engine.target, settings)
  const { fingerprint } = await profiledModel(engine)
  const { windows, held } = await textOf(engine, host, settings, options, fingerprint)
  const ends = new Set(host.config.eosTokenIds)
  const inputs = { settings, windows, ends, trained, under }
  // What it does not change goes on under any recipe.
  const { recipe, ...others } = settings
  const key = JSON.stringify([
    'run',
    1,
    fingerprint,
    settings.stage === 'routers' && recipe === 'scaled' ? settings : others,
    sumOfIds([...windows, ...held]),
    sumOf(trained),
    sumOf(under ?? trained),
  ])
  const from = options.resume === false ? undefined : ((await tuningMemory.get(key)) as TrainingState | undefined)
  const run = await TrainingRun.create(engine.target, engine.weights, inputs, from)
  return new EngineTuneRun({ host, stage, options, inputs, held, key, fingerprint }, run)
}

/** @throws `bad-option` naming the option that is out of range. */
function settingsOf(shape: RuntimeShape, options: TuneOptions): TrainingSettings {
  const { stage = 'routers', context, recipe = 'scaled' } = options
  demand(Object.hasOwn(TUNE_STAGES, stage), 'stage', stage, `one of ${Object.keys(TUNE_STAGES).join(', ')}`)
  demand(recipe === 'scaled' || recipe === 'published', 'recipe', recipe, '"scaled" or "published"')
  const defaults = defaultSettings(shape, stage, recipe)
  const given = Object.entries(options).filter(([name, value]) => name in defaults && value !== undefined)
  const settings: TrainingSettings = {
    ...defaults,
    ...(Object.fromEntries(given) as Partial<TrainingSettings>),
    length: context ?? lengthOf(options.data) ?? defaults.length,
    target: stage === 'lora' ? 0 : (options.target as number),
  }
  if (stage !== 'lora') {
    demand(settings.target > 0 && settings.target <= 0.9, 'target', options.target, 'a share above 0 and at most 0.9')
  }
  for (const name of ['steps', 'batch', 'accumulation', 'rank'] as const) {
    demand(Number.isInteger(settings[name]) && settings[name] >= 1, name, settings[name], 'a whole number of 1 or more')
  }
  for (const name of ['learningRate', 'alpha'] as const) {
    demand(settings[name] > 0 && Number.isFinite(settings[name]), name, settings[name], 'a number above 0')
  }
  const { coefficient, length, targets, seed, decisions, input } = settings
  demand(coefficient >= 0 && Number.isFinite(coefficient), 'coefficient', coefficient, 'a number of 0 or more')
  const most = shape.config.contextLength
  demand(
    Number.isInteger(length) && length >= 2 && length <= most,
    'context',
    length,
    `a whole number from 2 to ${most}`,
  )
  demand(Number.isInteger(seed) && seed >= 0, 'seed', seed, 'a whole number of 0 or more')
  demand(decisions === 'arg-max' || decisions === 'sampled', 'decisions', decisions, '"arg-max" or "sampled"')
  demand(input === 'entry' || input === 'post-attention', 'input', input, '"entry" or "post-attention"')
  const known = Object.keys(loraSizes(shape))
  demand(
    targets.length > 0 && targets.every((t) => known.includes(t)),
    'targets',
    targets,
    `some of ${known.join(', ')}`,
  )
  return settings
}

function demand(ok: boolean, name: string, value: unknown, range: string): void {
  if (!ok) throw new SkipstoneError('bad-option', `tune: ${name} is ${range}, not ${String(value)}.`)
}

function lengthOf(data: TuneData | undefined): number | undefined {
  return data !== undefined && data !== 'self' && 'windows' in data ? data.windows[0]?.length : undefined
}

async function textOf(
  engine: Engine,
  host: TuneHost,
  settings: TrainingSettings,
  { data = 'self', sampled, signal, onProgress }: TuneOptions,
  fingerprint: string,
): Promise<TrainingText> {
  const { batch, length, steps, accumulation, seed } = settings
  if (data !== 'self' && 'windows' in data) {
    for (const window of [...data.windows, ...(data.held ?? [])]) {
      host.checkIds(window)
      demand(window.length === length, 'windows', window.length, `lists of ${length} ids each`)
    }
    return data.held ? { windows: data.windows, held: data.held } : holdOut(data.windows, batch, length)
  }
  const bos = host.config.bosTokenId ?? host.generation.bosTokenId
  if (bos === undefined) {
    throw new SkipstoneError('unsupported', 'This model names no BOS token: give windows of ids instead of a text.')
  }
  if (data !== 'self') {
    const texts = typeof data.text === 'string' ? [data.text] : data.text
    const documents = await Promise.all(texts.map((text) => host.text.encode(text, { addSpecialTokens: false })))
    const ids = joinDocuments(documents, { bos, eos: host.config.eosTokenIds[0] })
    return holdOut(cutWindows(ids, length, bos), batch, length)
  }
  const count = sampled ?? Math.max(Math.ceil(1.2 * batch) + 1, Math.min(MOST_SAMPLED, steps * batch * accumulation))
  demand(Number.isInteger(count) && count >= 2, 'sampled', count, 'a whole number of 2 or more')
  // A page that is opened again does not wait for it again.
  const key = JSON.stringify(['text', 1, fingerprint, count, length, seed])
  const known = (await tuningMemory.get(key)) as number[][] | undefined
  const ends = new Set(host.config.eosTokenIds)
  const more = { seed: streamSeed(seed, 'text'), signal, onProgress }
  const windows = known ?? (await sampleWindows(engine, { windows: count, length, bos, ends, ...more }))
  if (!known) await tuningMemory.set(key, windows).catch((error: Error) => host.parts.warn(error.message))
  return holdOut(windows, batch, length)
}

function sumOfIds(windows: readonly (readonly number[])[]): string {
  return checksum(new Uint8Array(Uint32Array.from(windows.flat()).buffer))
}

function sumOf(tensors: readonly ParameterTensor[]): string {
  return tensors.map(({ data }) => checksum(new Uint8Array(Float32Array.from(data).buffer))).join('')
}
