import { SkipstoneError, throwIfAborted } from '../errors.js'
import type { Model } from '../sdk/model-api.js'
import type { LoadOptions, ModelSource } from '../sdk/options.js'
import { parseHubName } from '../storage/hub.js'
import { Channel } from './channel.js'
import { WorkerModel } from './model.js'
import type { Port } from './port.js'
import {
  CONNECT,
  type LoadArgs,
  type LoadEvent,
  type LostNote,
  type ModelFacts,
  type ModelNote,
  type ModelState,
  type SessionNote,
  type SourceArgs,
  type WarningNote,
  type WireSource,
} from './protocol.js'
import { LentSources } from './remote-source.js'
import type { WorkerSession } from './session.js'
import { spawnWorker } from './spawn.js'
import { watchdog } from './watchdog.js'

export interface WorkerLoadOptions extends Omit<LoadOptions, 'gpu'> {
  /**
   * A worker of your own, or a port to one, that called `serveModels()`: it may run several models, and a shared one serves several
   * tabs. Default: a worker for this model alone, which ends with it.
   */
  worker?: Worker | SharedWorker | ServiceWorker | MessagePort
  /**
   * Milliseconds that a worker for this model alone may answer nothing before it is ended, and what waits for it fails with
   * `unresponsive`. Default 30,000; `Infinity` while a debugger stops it.
   */
  patienceMs?: number
}

/**
 * `loadModel` with everything that computes in a worker: the page stays responsive, and model, sessions and steps have the same types.
 * A worker reads addresses, picked files, and any `FileSource` of the page.
 * @throws as `loadModel` of `skipstone`, and `unsupported` where there are no workers, `not-found` where the worker's script cannot be
 * loaded.
 */
export async function loadModel(source: ModelSource, options: WorkerLoadOptions = {}): Promise<Model> {
  const { worker, signal, patienceMs = PATIENCE_MS } = options
  throwIfAborted(signal)
  if (!(patienceMs > 0)) {
    throw new SkipstoneError('bad-option', `patienceMs is a number of milliseconds above 0, not ${patienceMs}.`)
  }
  if ('gpu' in options) {
    throw new SkipstoneError(
      'bad-option',
      'A worker has its own `gpu`: give the option to serveModels, or load without a worker.',
    )
  }
  if (worker) return connectionTo(worker).load(source, options, () => undefined)
  const own = spawnWorker()
  const connection = new PageConnection(own.port)
  const { channel } = connection
  own.failed.catch((error: Error) => channel.close(error))
  const end = () => {
    stopWatching()
    own.end()
  }
  const watched = { isWaiting: () => channel.isWaiting, ask: () => channel.call<void>('alive', {}) }
  const stopWatching = watchdog(watched, patienceMs, (error) => {
    channel.close(error)
    own.end()
  })
  try {
    return await connection.load(source, options, end)
  } catch (error) {
    end()
    throw error
  }
}

/** Longer than anything that a worker does in one go. */
const PATIENCE_MS = 30_000

const connections = new WeakMap<object, PageConnection>()

function connectionTo(worker: NonNullable<WorkerLoadOptions['worker']>): PageConnection {
  const known = connections.get(worker)
  if (known) return known
  const connection = new PageConnection(portOf(worker))
  connections.set(worker, connection)
  return connection
}

function portOf(worker: NonNullable<WorkerLoadOptions['worker']>): Port {
  if ('port' in worker) return worker.port as unknown as Port
  // Service workers have one inbox for all pages: each gets a port of its own.
  if ('scriptURL' in worker) {
    const { port1, port2 } = new MessageChannel()
    worker.postMessage(CONNECT, [port2])
    return port1 as unknown as Port
  }
  return worker as unknown as Port
}

/** The page's end: it numbers models and sessions, and keeps what the worker tells of them. */
class PageConnection {
  readonly channel: Channel
  readonly #sources = new LentSources()
  readonly #states = new Map<number, { current: ModelState }>()
  readonly #lost = new Map<number, (message: string) => void>()
  readonly #warned = new Map<number, (message: string) => void>()
  readonly #sessions = new Map<number, WorkerSession>()
  #last = 0

  constructor(port: Port) {
    this.channel = new Channel(port, {
      source: ({ args, signal }) => this.#sources.answer(args as SourceArgs, signal),
      session: ({ args }) => {
        const { session, change } = args as SessionNote
        this.#sessions.get(session)?.state.apply(change)
      },
      model: ({ args }) => {
        const { model, state } = args as ModelNote
        const known = this.#states.get(model)
        if (known) known.current = state
        else this.#states.set(model, { current: state })
      },
      warning: ({ args }) => {
        const { model, message } = args as WarningNote
        this.#warned.get(model)?.(message)
      },
      lost: ({ args }) => {
        const { model, message } = args as LostNote
        this.#lost.get(model)?.(message)
      },
    })
    void this.#stayAlive()
  }

  async load(source: ModelSource, options: WorkerLoadOptions, onDispose: () => void): Promise<WorkerModel> {
    const {
      signal,
      onProgress,
      onWarning,
      onDeviceLost,
      dtype,
      activations,
      gpuBudget,
      store,
      file,
      hub,
      profile,
      routers,
      lora,
    } = options
    const model = ++this.#last
    const given = { dtype, activations, gpuBudget, store, file, hub, profile }
    const args: LoadArgs = {
      ...(Object.fromEntries(Object.entries(given).filter(([, value]) => value !== undefined)) as typeof given),
      model,
      source: this.#wire(source),
      ...(routers !== undefined && { routers: this.#wire(routers) }),
      ...(lora !== undefined && { lora: this.#wire(lora) }),
    }
    const onEvent = ({ progress }: LoadEvent) => onProgress?.(progress)
    this.#warned.set(model, onWarning ?? ((message) => console.warn(message)))
    const facts = await this.channel.call<ModelFacts>('load', args, { signal, onEvent }).catch((error: unknown) => {
      this.#warned.delete(model)
      throw error
    })
    if (onDeviceLost) this.#lost.set(model, onDeviceLost)
    const numbers = { next: () => ++this.#last, sessions: this.#sessions }
    const state = this.#states.get(model)
    if (!state) throw new SkipstoneError('internal', 'The worker loaded a model and said nothing of it.')
    return new WorkerModel(this.channel, model, facts, state, numbers, () => {
      this.#states.delete(model)
      this.#lost.delete(model)
      this.#warned.delete(model)
      onDispose()
    })
  }

  /** Addresses mean what they mean on the page, not in the worker. */
  #wire(source: ModelSource): WireSource {
    if (source instanceof URL) return source.href
    if (typeof source === 'string') {
      const base = typeof location === 'undefined' ? undefined : location.href
      return parseHubName(source) || !URL.canParse(source, base) ? source : new URL(source, base).href
    }
    if ('read' in source) return { source: this.#sources.lend(source), description: source.description }
    return [...source]
  }

  /** Holds a lock as long as this page lives, which the worker waits for. */
  async #stayAlive(): Promise<void> {
    const locks = globalThis.navigator?.locks
    if (!locks) return
    const alive = `skipstone page ${crypto.randomUUID()}`
    await locks.request(alive, () => {
      this.channel.note('hello', { alive })
      return new Promise(() => undefined)
    })
  }
}
