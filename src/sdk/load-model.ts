import { SkipstoneError, throwIfAborted } from '../errors.js'
import { GpuDevice } from '../gpu/device.js'
import type { ModelConfig } from '../model/config.js'
import { parseGenerationConfig } from '../model/generation-config.js'
import { type MatrixDtypes, resolveDtypes } from '../model/matrix-dtypes.js'
import { loadWeights } from '../model/weights.js'
import { compileAhead } from '../runtime/compile-ahead.js'
import { Engine } from '../runtime/engine.js'
import { runtimeShape } from '../runtime/shape.js'
import { chooseTarget, type Target } from '../runtime/target.js'
import { dense } from '../skip/dense.js'
import type { SkipProfile } from '../skip/profile.js'
import type { RouterWeights } from '../skip/router-weights.js'
import { skipgptPolicy } from '../skip/skipgpt.js'
import { type FileSource, readJson } from '../storage/source.js'
import { LoadPhases } from './load-phases.js'
import { EngineModel } from './model.js'
import { openModelFiles } from './model-files.js'
import type { LoadOptions, ModelSource } from './options.js'
import { loadRouters, ROUTER_FILE } from './routers.js'
import { openSource, warn } from './sources.js'
import { TextCodec } from './text-codec.js'

/** `loadModel` of load.ts, with what only this package uses of a model. */
export async function loadEngineModel(source: ModelSource, options: LoadOptions = {}): Promise<EngineModel> {
  const { signal } = options
  throwIfAborted(signal)
  checkBudget(options.gpuBudget)
  const phases = new LoadPhases()
  // Opens while files are read.
  const opening = phases.during('device', openGpu(options))
  try {
    return await load(source, options, opening, phases)
  } catch (error) {
    opening.then(
      (gpu) => gpu.destroy(),
      () => undefined,
    )
    throw error
  }
}

function openGpu({ gpu }: LoadOptions): Promise<GpuDevice> {
  return GpuDevice.open(gpu ? { gpu } : {})
}

/** What of a model is small. */
async function readSmall(source: ModelSource, options: LoadOptions) {
  const { signal, onProgress } = options
  const folder = await openSource(source, options)
  onProgress?.({ phase: 'config', loaded: 0, total: 0 })
  const { files, config, checkpoint } = await openModelFiles(folder, signal)
  // What the kernels cannot lay out is refused before anything large is read.
  runtimeShape(config)
  const routerFiles = options.routers
    ? await openSource(options.routers, options)
    : (await files.has(ROUTER_FILE, signal)) && files
  const [generation, adapter, routers] = await Promise.all([
    optionalJson(files, 'generation_config.json', signal).then((json) => parseGenerationConfig(json ?? {})),
    options.lora ? readLora(options.lora, options) : undefined,
    routerFiles ? loadRouters(routerFiles, config, signal) : undefined,
  ])
  return { files, config, checkpoint, generation, adapter, routers, routerFiles }
}

async function readLora(source: ModelSource, options: LoadOptions) {
  const [folder, { readAdapter }] = await Promise.all([openSource(source, options), import('../model/adapter.js')])
  return readAdapter(folder, options.signal)
}

async function load(
  source: ModelSource,
  options: LoadOptions,
  opening: Promise<GpuDevice>,
  phases: LoadPhases,
): Promise<EngineModel> {
  const { signal, onProgress } = options
  // Whoever waits for it is told.
  opening.catch(() => undefined)
  const small = await phases.during('config', readSmall(source, options))
  const { files, config, checkpoint, generation, adapter, routers, routerFiles } = small

  const openEngine = async (
    device: Promise<GpuDevice>,
    progress: LoadOptions['onProgress'],
    abort: AbortSignal | undefined,
    clock = new LoadPhases(),
  ) => {
    const gpu = await device
    gpu.onLost = () => options.onDeviceLost?.(gpu.lostError().message)
    try {
      // Shaders compile while weights are on their way.
      const dtypes = resolveDtypes(options.dtype ?? 'stored', config, checkpoint, adapter)
      const compiling = compile(gpu, config, dtypes, { routers, options, clock })
      compiling.catch(() => undefined)
      await clock.fetching((told) => files.fetch?.(checkpoint.files, { signal: abort, onProgress: told }), progress)
      const uploading = loadWeights(gpu, config, checkpoint, {
        dtype: options.dtype ?? 'stored',
        adapter,
        gpuBudget: options.gpuBudget,
        signal: abort,
        onProgress: (loaded, total) => progress?.({ phase: 'upload', loaded, total }),
      })
      const weights = await clock.during('upload', uploading)
      progress?.({ phase: 'pipelines', loaded: 0, total: 0 })
      const target = await compiling
      throwIfAborted(abort)
      // Nobody waits for it, and a failure changes nothing.
      tunedForms(gpu)
        .then((forms) => forms?.lookForFastest(target))
        .catch(() => undefined)
      return new Engine(target, weights)
    } catch (error) {
      gpu.destroy()
      throw error
    }
  }
  const engine = await openEngine(opening, onProgress, signal, phases)
  const profile = options.profile && (await checked(options.profile, engine))
  onProgress?.({ phase: 'ready', loaded: 0, total: 0 })
  return new EngineModel({
    config,
    generation,
    routers,
    merged: adapter !== undefined,
    tensors: async (names) => (await import('./policy-tensors.js')).policyTensors(names, checkpoint, routerFiles),
    profile,
    storedProfile: () => optionalJson(files, 'skip-profile.json', undefined),
    warn: (message) => warn(options, message),
    engine,
    loadPhases: phases.done,
    text: new TextCodec(files),
    reopen: () => openEngine(openGpu(options), undefined, undefined),
  })
}

/**
 * Compiles what sequences use that skip, where there are routers, up to their first token; and then, without being waited for, the rest,
 * and what dense ones do. On a software adapter, whose compiler takes the cores that compute, dense ones see to it themselves.
 */
async function compile(
  gpu: GpuDevice,
  config: ModelConfig,
  dtypes: MatrixDtypes,
  { routers, options, clock }: { routers: RouterWeights | undefined; options: LoadOptions; clock: LoadPhases },
): Promise<Target> {
  const first = routers ? skipgptPolicy({ routers }) : dense
  const kept = await (await tunedForms(gpu))?.keptForm(gpu, config, dtypes)
  const { activations } = options
  const choosing = chooseTarget(gpu, config, dtypes, routers ? 'active' : 'all', { activations, kept })
  const target = await clock.during('self-test', choosing)
  if (target.warning) warn(options, target.warning)
  const ahead = compileAhead(target, first)
  // Whoever needs it sooner waits for it, and is told what went wrong.
  const rest = ahead.all.then(() => (first === dense || gpu.isSoftware ? undefined : compileAhead(target, dense).all))
  rest.catch(() => undefined)
  await clock.during('pipelines', ahead.first)
  return target
}

/** Devices that are no software keep the form that is fastest on them, where the site can keep anything. */
async function tunedForms({ isSoftware }: GpuDevice): Promise<typeof import('./tuned-forms.js') | undefined> {
  return isSoftware || typeof indexedDB === 'undefined' ? undefined : import('./tuned-forms.js')
}

/** Who loads no profile does not load the code for it. */
async function checked(profile: SkipProfile, engine: Engine): Promise<SkipProfile> {
  const [{ readProfile }, { profiledModel }] = await Promise.all([
    import('../skip/profile.js'),
    import('../study/calibrate.js'),
  ])
  return readProfile(profile, await profiledModel(engine))
}

function checkBudget(budget: number | undefined): void {
  if (budget === undefined || budget > 0) return
  throw new SkipstoneError('bad-option', `gpuBudget is a number of bytes above 0, not ${budget}.`)
}

async function optionalJson(files: FileSource, name: string, signal: AbortSignal | undefined): Promise<unknown> {
  try {
    return await readJson(files, name, signal)
  } catch (error) {
    if (error instanceof SkipstoneError && error.code === 'not-found') return undefined
    throw error
  }
}
