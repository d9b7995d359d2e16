import { SkipstoneError, throwIfAborted } from '../errors.js'
import { type Dispatch, type Extent, ParamsArena, record } from '../gpu/dispatch.js'
import { ReadbackRing } from '../gpu/readback.js'
import { sampleSettings } from '../kernels/sample.js'
import type { SkipPolicy } from '../skip/policy.js'
import { decodeProgram } from './decode-program.js'
import type { Engine } from './engine.js'
import { finish, packing } from './finish.js'
import { prefillProgram } from './prefill-program.js'
import type { ProgramInputs } from './program.js'
import { readRecords, type StepRecord } from './records.js'
import type { Sampling } from './sampling.js'
import { SCORE_ROWS, scoreProgram } from './score-program.js'
import {
  type Cache,
  copyCache,
  createCache,
  createSequenceBuffers,
  destroyCache,
  recordStride,
  type SequenceBuffers,
} from './sequence-buffers.js'

export interface SequenceOptions {
  /** Positions that the cache may grow to. */
  contextLength: number
  /** Bring the margins of every decision back with the bits. */
  margins?: boolean
  /** Compute skipped work too and throw it away: the benchmark's control. */
  masked?: boolean
}

export interface PrefillOptions {
  /** Sample a token after the last position. */
  sampling?: Sampling
  /** Tokens that count as seen for the repetition penalty, besides those fed now. */
  seen?: readonly number[]
  signal?: AbortSignal
  /** Read the logits after the last position. */
  logits?: boolean
}

export interface PrefillResult {
  /** One record per fed position; the last has the sampled token. */
  readonly records: StepRecord[]
  readonly logits: Float32Array | undefined
}

interface Programs {
  readonly arena: ParamsArena
  readonly decode: readonly Dispatch[]
  readonly prefill: readonly Dispatch[]
  readonly packing: readonly Dispatch[]
  readonly finish: readonly Dispatch[]
}

const FIRST_POSITIONS = 256

/**
 * One token sequence on the GPU: its cache, its plan and its place in the ring. It knows token ids and positions, no
 * text. Calls must not overlap.
 */
export class Sequence {
  #length = 0
  #cache: Cache
  #programs: Programs | undefined
  #destroyed = false
  readonly #buffers: SequenceBuffers
  readonly #ring: ReadbackRing
  readonly #stride: number

  constructor(
    readonly engine: Engine,
    readonly policy: SkipPolicy,
    private readonly options: SequenceOptions,
  ) {
    const { gpu, shape, capacity } = engine
    this.#buffers = createSequenceBuffers(gpu, shape, policy, capacity, options.margins ?? false)
    this.#cache = createCache(gpu, shape, Math.min(FIRST_POSITIONS, options.contextLength))
    this.#ring = new ReadbackRing(gpu)
    this.#stride = recordStride(shape, options.margins ?? false)
  }

  /** Positions in the cache. */
  get length(): number {
    return this.#length
  }

  /** Times that the CPU has waited for results. */
  get waits(): number {
    return this.#ring.waits
  }

  /** Compiles what a first call would wait for; its own work is then all that is timed. */
  async prepare(): Promise<void> {
    await this.#program()
  }

  /** Dispatches per layer of one decode step, and of one prefill chunk. */
  async dispatchesPerLayer(): Promise<{ decode: number; prefill: number }> {
    const { decode, prefill, finish } = await this.#program()
    const { layers } = this.engine.shape.config
    // Embedding comes before the layers, and the end of the step after them.
    return { decode: (decode.length - finish.length - 1) / layers, prefill: (prefill.length - 1) / layers }
  }

  /**
   * Declares `length` positions without computing them, whatever the cache holds: benchmarks time a decode step at a
   * context without a prefill.
   */
  async assume(length: number): Promise<void> {
    await this.#reserve(length)
    this.#length = length
  }

  /** Forgets positions from `length` on; their cache rows are overwritten later. */
  rewind(length: number): void {
    this.#length = Math.min(this.#length, length)
  }

  /**
   * Feeds `ids` (at least one) after what the cache holds, in chunks.
   * @throws `context-full`, `aborted` (positions fed so far stay), `device-lost`.
   */
  async prefill(ids: ArrayLike<number>, options: PrefillOptions = {}): Promise<PrefillResult> {
    const { gpu, capacity } = this.engine
    await this.#reserve(this.#length + ids.length)
    if (options.sampling) this.#writeSampling(options.sampling, options.seen ?? [], ids)
    const records: StepRecord[] = []
    let logits: (() => Promise<Uint32Array>) | undefined
    let pending: (() => Promise<StepRecord[]>) | undefined
    // One chunk is read while the next one runs.
    const readPending = async () => {
      const read = pending
      pending = undefined
      if (read) records.push(...(await read()))
    }
    try {
      for (let first = 0; first < ids.length; first += capacity) {
        throwIfAborted(options.signal)
        gpu.check()
        const chunk = Uint32Array.from(
          { length: Math.min(capacity, ids.length - first) },
          (_, i) => ids[first + i] as number,
        )
        const last = first + chunk.length === ids.length
        const { prefill, packing, finish } = await this.#program()
        const ending = last && options.sampling ? finish : packing
        const submitted = this.#submitChunk(chunk, [...prefill, ...ending], last && options.logits === true)
        logits = submitted.logits
        await readPending()
        pending = async () => this.#records(await submitted.words(), last && options.sampling ? 'last' : 'none')
      }
      await readPending()
    } finally {
      // After a failure: read-back buffers return to the ring only when they were read.
      await readPending().catch(() => undefined)
    }
    return { records, logits: logits && new Float32Array((await logits()).buffer) }
  }

  /**
   * Submits `steps` decode steps that continue from the last sampled token; nothing waits until the result is called.
   * Steps after a stop token do nothing and leave records without a token.
   */
  async decode(steps: number): Promise<() => Promise<StepRecord[]>> {
    const { gpu } = this.engine
    gpu.check()
    await this.#reserve(this.#length + steps)
    const { decode } = await this.#program()
    const extent: Extent = { rows: 1, context: this.#length + steps }
    gpu.device.queue.writeBuffer(this.#buffers.plan, 8, Uint32Array.of(0))
    const encoder = gpu.device.createCommandEncoder()
    const pass = encoder.beginComputePass()
    for (let step = 0; step < steps; step++) this.engine.counters.dispatches += record(pass, decode, extent)
    pass.end()
    const read = this.#ring.record(encoder, this.#buffers.ring, 0, 4 * steps * this.#stride)
    this.#submit(encoder)
    this.#length += steps
    return async () => this.#records(await read(), 'every')
  }

  /**
   * Mean loss material: −ln p(ids[i + 1] | ids[0 .. i]) for every i, from an empty cache. Returns ids.length − 1 values
   * and the records of the fed positions.
   */
  async score(ids: ArrayLike<number>, signal?: AbortSignal): Promise<{ nll: Float32Array; records: StepRecord[] }> {
    const { gpu, shape } = this.engine
    this.rewind(0)
    const fed = ids.length - 1
    await this.#reserve(fed)
    const memory = gpu.memory
    const buffers = {
      logits: memory.storage('score logits', 4 * SCORE_ROWS * shape.config.vocabSize),
      targets: memory.storage('targets', 4 * SCORE_ROWS),
      nll: memory.storage('nll', 4 * SCORE_ROWS),
    }
    const arena = new ParamsArena(gpu)
    try {
      const { prefill, packing } = await this.#program()
      const score = await scoreProgram(this.engine, arena, this.#buffers.plan, buffers)
      const nll: number[] = []
      const records: StepRecord[] = []
      for (let first = 0; first < fed; first += SCORE_ROWS) {
        throwIfAborted(signal)
        const rows = Math.min(SCORE_ROWS, fed - first)
        const slice = (from: number) => Uint32Array.from({ length: rows }, (_, i) => ids[from + i] as number)
        gpu.device.queue.writeBuffer(buffers.targets, 0, slice(first + 1))
        const submitted = this.#submitChunk(slice(first), [...prefill, ...packing, ...score], false, buffers.nll)
        records.push(...this.#records(await submitted.words(), 'none'))
        nll.push(...new Float32Array((await submitted.extra!()).buffer, 0, rows))
      }
      return { nll: Float32Array.from(nll), records }
    } finally {
      arena.destroy()
      for (const buffer of Object.values(buffers)) memory.destroy(buffer)
    }
  }

  destroy(): void {
    if (this.#destroyed) return
    this.#destroyed = true
    const { memory } = this.engine.gpu
    this.#programs?.arena.destroy()
    this.#programs = undefined
    const { routerStride: _, ...buffers } = this.#buffers
    for (const buffer of Object.values(buffers)) memory.destroy(buffer)
    destroyCache(this.engine.gpu, this.#cache)
    this.#ring.destroy()
  }

  #submitChunk(
    chunk: Uint32Array<ArrayBuffer>,
    dispatches: readonly Dispatch[],
    wantLogits: boolean,
    extra?: GPUBuffer,
  ) {
    const { gpu, shape, scratch } = this.engine
    const { plan, ids, ring } = this.#buffers
    const rows = chunk.length
    gpu.device.queue.writeBuffer(plan, 0, Uint32Array.of(rows, this.#length, 0))
    gpu.device.queue.writeBuffer(ids, 0, chunk)
    const encoder = gpu.device.createCommandEncoder()
    const pass = encoder.beginComputePass()
    const extent = { rows, context: this.#length + rows }
    this.engine.counters.dispatches += record(pass, dispatches, extent)
    pass.end()
    const words = this.#ring.record(encoder, ring, 0, 4 * rows * this.#stride)
    const logits = wantLogits ? this.#ring.record(encoder, scratch.logits, 0, 4 * shape.config.vocabSize) : undefined
    const read = extra && this.#ring.record(encoder, extra, 0, 4 * rows)
    this.#submit(encoder)
    this.#length += rows
    return { words, logits, extra: read }
  }

  #submit(encoder: GPUCommandEncoder): void {
    this.engine.gpu.device.queue.submit([encoder.finish()])
    this.engine.counters.submits++
  }

  #records(words: Uint32Array, tokens: 'every' | 'last' | 'none'): StepRecord[] {
    return readRecords(words, this.engine.shape, {
      stride: this.#stride,
      routed: this.policy.scoring !== undefined,
      margins: this.options.margins ?? false,
      tokens,
    })
  }

  #writeSampling(sampling: Sampling, before: readonly number[], ids: ArrayLike<number>): void {
    const { queue } = this.engine.gpu.device
    const { settings, stops, seen } = this.#buffers
    queue.writeBuffer(
      settings,
      0,
      sampleSettings({
        ...sampling,
        stopCount: sampling.stopIds.length,
        vocab: this.engine.shape.config.vocabSize,
        stride: this.#stride,
      }),
    )
    queue.writeBuffer(stops, 0, Uint32Array.from(sampling.stopIds))
    if (sampling.repetitionPenalty === 1) return
    const bits = new Uint32Array(Math.ceil(this.engine.shape.config.vocabSize / 32))
    const mark = (id: number) => {
      bits[id >> 5] = (bits[id >> 5] as number) | (1 << (id & 31))
    }
    before.forEach(mark)
    Array.from(ids).forEach(mark)
    queue.writeBuffer(seen, 0, bits)
  }

  /** Makes room for `positions`: the cache doubles, so that copying it costs a constant per position. */
  async #reserve(positions: number): Promise<void> {
    this.#check()
    if (positions > this.options.contextLength) {
      throw new SkipstoneError(
        'context-full',
        `${positions} positions are needed, but the context holds ${this.options.contextLength}: shorten the prompt, rewind the session, or raise the context length.`,
      )
    }
    if (positions <= this.#cache.positions) return
    const { gpu, shape } = this.engine
    const doubled = Math.max(positions, 2 * this.#cache.positions)
    const grown = createCache(gpu, shape, Math.min(this.options.contextLength, doubled))
    copyCache(gpu, shape, this.#cache, grown, this.#length)
    destroyCache(gpu, this.#cache)
    this.#cache = grown
    this.#programs?.arena.destroy()
    this.#programs = undefined
  }

  /** The dispatch lists for the present cache buffers. */
  async #program(): Promise<Programs> {
    this.#check()
    if (this.#programs) return this.#programs
    const inputs: ProgramInputs = {
      policy: this.policy,
      buffers: this.#buffers,
      cache: this.#cache,
      capacity: this.engine.capacity,
      margins: this.options.margins ?? false,
      masked: this.options.masked ?? false,
    }
    const arena = new ParamsArena(this.engine.gpu)
    const [decode, prefill, pack, end] = await Promise.all([
      decodeProgram(this.engine, arena, inputs),
      prefillProgram(this.engine, arena, inputs),
      packing(this.engine, arena, inputs),
      finish(this.engine, arena, inputs),
    ])
    if (this.#destroyed) arena.destroy()
    this.#check()
    this.#programs = { arena, decode, prefill, packing: pack, finish: end }
    return this.#programs
  }

  /** A sequence may be destroyed while a call on it waits: the call must not allocate anything afterwards. */
  #check(): void {
    if (this.#destroyed) throw new SkipstoneError('disposed', 'This sequence was destroyed while it was in use.')
  }
}
