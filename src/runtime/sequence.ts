import { SkipstoneError, throwIfAborted } from '../errors.js'
import { type BoundBuffer, type Dispatch, type Extent, ParamsArena } from '../gpu/dispatch.js'
import type { GpuProfile } from '../gpu/profile.js'
import { ReadbackRing } from '../gpu/readback.js'
import { sampleSettings } from '../kernels/sample.js'
import { noTraffic, type Traffic } from '../model/traffic.js'
import type { Phase, SkipPolicy } from '../skip/policy.js'
import { decidesOnce, hasKeysValues, leavesHoles } from '../skip/static-skips.js'
import type { Share } from './batch/batch.js'
import type { BatchBuffers } from './batch/batch-buffers.js'
import type { Lane } from './batch/lane.js'
import { decodeProgram } from './decode-program.js'
import { type Endings, endings } from './endings.js'
import type { Engine } from './engine.js'
import { LogitAdjustment } from './logit-adjustment.js'
import { prefillProgram } from './prefill-program.js'
import { inOrder, type Program, type ProgramInputs, sublayersInOrder } from './program.js'
import { Recorder } from './recorder.js'
import { type DecodeRecord, executed, type KnownBits, knownBits, readRecords, type StepRecord } from './records.js'
import type { MakeReading, RowsReader } from './rows-reader.js'
import type { Sampling } from './sampling.js'
import {
  type Cache,
  copyCache,
  copyMargins,
  createCache,
  createPolicyBuffers,
  createSequenceBuffers,
  destroyCache,
  recordStride,
  type SequenceBuffers,
} from './sequence-buffers.js'
import type { SpeculationFigures } from './speculation/figures.js'

export interface SequenceOptions {
  /** Positions that the cache may grow to. */
  contextLength: number
  /** Bring the margins of every decision back with the bits. */
  margins?: boolean
  /** Compute skipped work too and throw it away: the benchmark's control. */
  masked?: boolean
  /** Times every dispatch. */
  timer?: GpuProfile
}

export interface PrefillOptions {
  /** Sample a token after the last position. */
  sampling?: Sampling
  /** Tokens that count as seen for the repetition penalty, besides those fed now. */
  seen?: readonly number[]
  /** The only tokens that may be sampled, a bit each; `allow` says so for the steps that follow. */
  allowed?: Uint32Array<ArrayBuffer> | undefined
  signal?: AbortSignal
  /** Read the logits after the last position. */
  logits?: boolean
  /** Reads something of every row. They are then fed a few at a time. */
  reader?: RowsReader
}

export interface PrefillResult {
  /** One record per fed position; the last has the sampled token. */
  readonly records: StepRecord[]
  readonly logits: Float32Array | undefined
}

/** What is waited for on its own: the first token needs nothing that decodes. */
interface Programs {
  readonly arena: ParamsArena
  readonly decode: Promise<Program>
  readonly prefill: Promise<Program>
  readonly endings: Promise<Endings>
  /** Of the buffers that they are bound to. */
  readonly generation: number
}

/** A place in a batch, for as long as the sequence has these programs. */
interface Place {
  readonly batch: BatchBuffers
  readonly row: number
  readonly programs: Programs
  readonly arena: ParamsArena
  readonly lane: Promise<Lane>
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
  #place: Place | undefined
  #destroyed = false
  #policy: SkipPolicy
  /** Of the present policy, by the phases that were asked for. */
  #knownBits: Partial<Record<Phase, KnownBits>> = {}
  /** What the next submit changes to. */
  #nextPolicy: SkipPolicy | undefined
  #buffers: SequenceBuffers
  readonly #ring: ReadbackRing
  readonly #stride: number
  readonly #adjustment: LogitAdjustment
  /** What streaming weights cost so far, where they do not all fit. */
  readonly traffic = { prefill: noTraffic(), decode: noTraffic() }
  /** What drafting came to so far, where the policy drafts. */
  speculation: SpeculationFigures | undefined

  constructor(
    readonly engine: Engine,
    policy: SkipPolicy,
    private readonly options: SequenceOptions,
  ) {
    this.#policy = policy
    const { gpu, shape, capacity } = engine
    this.#buffers = createSequenceBuffers(gpu, shape, policy, capacity, options.margins ?? false)
    this.#cache = createCache(engine.target, Math.min(FIRST_POSITIONS, options.contextLength))
    this.#ring = new ReadbackRing(gpu)
    this.#stride = recordStride(shape, options.margins ?? false)
    this.#adjustment = new LogitAdjustment(engine)
  }

  /** What later submits obey. */
  get policy(): SkipPolicy {
    return this.#nextPolicy ?? this.#policy
  }

  /**
   * Later submits obey `policy`; what is in the cache, or under way, stays as it is.
   * @throws `internal` where `policy` attends to what is not there (`lacks`): rewind to 0 first.
   */
  usePolicy(policy: SkipPolicy): void {
    this.#check()
    if (this.#length > 0 && this.lacks(policy)) {
      throw new SkipstoneError('internal', `${policy.name} lacks keys and values; please report this.`)
    }
    this.#nextPolicy = policy
  }

  /**
   * Whether `policy` attends where the present one leaves no keys and values, or goes by what it has decided at the beginning: what is in the cache is
   * then of no use to it.
   */
  lacks(policy: SkipPolicy): boolean {
    if (decidesOnce(policy) && policy.name !== this.policy.name) return true
    if (leavesHoles(this.policy) && policy.skipped !== 'hole') return true
    const layers = Array.from(this.engine.weights.layers.keys())
    return layers.some((layer) => hasKeysValues(policy, layer) && !hasKeysValues(this.policy, layer))
  }

  get isDestroyed(): boolean {
    return this.#destroyed
  }

  /** The same for as long as it lives. */
  get plan(): GPUBuffer {
    return this.#buffers.plan
  }

  /** Positions in the cache. */
  get length(): number {
    return this.#length
  }

  /** Times that the CPU has waited for results. */
  get waits(): number {
    return this.#ring.waits
  }

  /** Decode steps are computed one by one, each waiting for the weights that it needs. */
  get streams(): boolean {
    return this.engine.weights.stream !== undefined
  }

  /** Compiles what a first call would wait for, up to its first token or all of it; its own work is then all that is timed. */
  async prepare(until: 'first token' | 'all'): Promise<void> {
    this.#turn()
    await Promise.all([this.#ready('prefill'), this.#ready('endings'), until === 'all' && this.#ready('decode')])
  }

  /** Dispatches per layer of one decode step, and of one prefill chunk. */
  async dispatchesPerLayer(): Promise<{ decode: number; prefill: number }> {
    const [decode, prefill] = [await this.#ready('decode'), await this.#ready('prefill')]
    // The embedding comes before the layers.
    const perLayer = (program: Program) => (inOrder(program).length - 1) / program.layers.length
    return { decode: perLayer(decode), prefill: perLayer(prefill) }
  }

  /** Which sublayer each dispatch of a decode step, or of a prefill chunk, is part of; what follows the last layer is not in it. */
  async sublayers(phase: 'prefill' | 'decode'): Promise<(number | undefined)[]> {
    return sublayersInOrder(await this.#ready(phase))
  }

  /**
   * Declares `length` positions without computing them, whatever the cache holds: benchmarks time a decode step at a
   * context without a prefill.
   */
  async assume(length: number): Promise<void> {
    this.#reserve(length)
    this.#length = length
  }

  /** Another sequence that goes on from the same positions. No call on this one may be under way. */
  clone(): Sequence {
    this.#check()
    const { gpu, shape } = this.engine
    const copy = new Sequence(this.engine, this.policy, this.options)
    destroyCache(gpu, copy.#cache)
    copy.#cache = createCache(this.engine.target, this.#cache.positions)
    copyCache(gpu, shape, this.#cache, copy.#cache, this.#length)
    if (decidesOnce(this.policy)) copyMargins(gpu, this.#buffers, copy.#buffers)
    copy.#length = this.#length
    return copy
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
    const { gpu } = this.engine
    this.#reserve(this.#length + ids.length)
    if (options.sampling) this.#writeSampling(options.sampling, options, ids)
    const { reader } = options
    const capacity = Math.min(reader?.rows ?? Number.POSITIVE_INFINITY, this.engine.capacity)
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
        const chunk = slice(ids, first, Math.min(capacity, ids.length - first))
        const last = first + chunk.length === ids.length
        const samples = last && options.sampling !== undefined
        const submitted = await this.#inTurn(this.traffic.prefill, options.signal, async () => {
          this.#turn()
          const { packing } = await this.#ready('endings')
          const wantLogits = last && options.logits === true
          // Sampling moves the plan on, so that what needs the chunk's rows comes first.
          const ofRows = reader ? await reader.dispatches(this.#buffers.plan) : []
          const ending = [...ofRows, ...(samples ? await this.#finish('prompt') : packing)]
          return this.#submitChunk(chunk, ending, options.signal, wantLogits, reader?.extra)
        })
        // Before the next chunk is submitted: the logits of two would take twice the memory.
        if (submitted.extra) reader?.read(first, await submitted.extra())
        logits = submitted.logits
        await readPending()
        pending = () => submitted.records(samples ? 'last' : 'none')
      }
      await readPending()
    } finally {
      // After a failure: read-back buffers return to the ring only when they were read.
      await readPending().catch(() => undefined)
    }
    return {
      records,
      logits: logits && new Float32Array((await logits()).buffer),
    }
  }

  /** The only tokens that the next step may choose, after a prefill with `allowed`. No step may be under way. */
  allow(tokens: Uint32Array<ArrayBuffer>): void {
    this.#check()
    this.#adjustment.allow(tokens)
  }

  /**
   * The next decode step feeds `token`, behind what the cache holds, as if it had just been chosen; with the tokens that count as seen, and how
   * often each was chosen before it, where penalties ask for that. No step may be under way.
   */
  resume(token: number, context: { seen?: Uint32Array<ArrayBuffer>; counts?: Uint32Array<ArrayBuffer> }): void {
    this.#check()
    const { queue } = this.engine.gpu.device
    const { plan, ids, seen } = this.#buffers
    queue.writeBuffer(plan, 0, Uint32Array.of(1, this.#length, 0))
    queue.writeBuffer(ids, 0, Uint32Array.of(token))
    if (context.seen) queue.writeBuffer(seen, 0, context.seen)
    if (context.counts) this.#adjustment.recount(context.counts)
  }

  /**
   * Submits `steps` decode steps that continue from the last sampled token; nothing waits until the result is called, unless
   * weights are streamed. Steps after a stop token do nothing and leave records without a token. With `logits`, those of the last
   * step are read too; `observed` says what is recorded instead of the program, and `behind` records copies behind every step, whose token is then
   * the first of `ids`.
   */
  async decode(
    steps: number,
    signal?: AbortSignal,
    options: {
      logits?: boolean
      observed?: ((program: Program) => Program) | undefined
      behind?: (encoder: GPUCommandEncoder, step: number, ids: GPUBuffer) => void
    } = {},
  ): Promise<() => Promise<DecodeRecord[]>> {
    const { gpu } = this.engine
    gpu.check()
    this.#reserve(this.#length + steps)
    return this.#inTurn(this.traffic.decode, signal, async () => {
      this.#turn()
      const program = await this.#ready('decode')
      const decode = options.observed?.(program) ?? program
      const finish = await this.#finish('step')
      this.#check()
      const known = this.#known('decode')
      const recorder = new Recorder(this.engine, this.options.timer)
      const guesses: number[][] = []
      gpu.device.queue.writeBuffer(this.#buffers.plan, 8, Uint32Array.of(0))
      for (let step = 0; step < steps; step++) {
        const extent: Extent = { rows: 1, context: this.#length + steps }
        const recorded = this.#record(recorder, decode, extent, this.traffic.decode, signal)
        if (recorded) guesses.push(await recorded)
        recorder.add(finish, extent)
        options.behind?.(recorder.encoder(), step, this.#buffers.ids)
      }
      const encoder = recorder.encoder()
      const read = this.#ring.record(encoder, this.#buffers.ring, 0, 4 * steps * this.#stride)
      const { scratch, shape } = this.engine
      const readLogits =
        options.logits === true ? this.#ring.record(encoder, scratch.logits, 0, 4 * shape.config.vocabSize) : undefined
      recorder.submit()
      this.#length += steps
      this.traffic.decode.tokens += steps
      return async () => {
        const [words, logits] = await Promise.all([read(), readLogits?.()])
        const records: DecodeRecord[] = this.#records(words, 'every', known)
        const last = records.pop()
        if (last) records.push(logits ? { ...last, logits: new Float32Array(logits.buffer) } : last)
        for (const [i, guessed] of guesses.entries()) this.#judge(guessed, records.slice(i, i + 1), this.traffic.decode)
        return records
      }
    })
  }

  /** Its part in `steps` decode steps of a batch, of which it has the row `row`. */
  async share(batch: BatchBuffers, row: number, steps: number): Promise<Share> {
    const { gpu } = this.engine
    gpu.check()
    const context = this.#length + steps
    this.#reserve(context)
    this.#turn()
    const lane = await this.#lane(batch, row)
    const finish = await this.#ended(lane.ending, 'step', lane.logits)
    const known = this.#known('decode')
    return {
      lane,
      cache: this.#cache,
      context,
      finish,
      begin: () => {
        this.#check()
        gpu.device.queue.writeBuffer(this.#buffers.plan, 8, Uint32Array.of(0))
      },
      read: (encoder) => {
        const read = this.#ring.record(encoder, this.#buffers.ring, 0, 4 * steps * this.#stride)
        this.#length = context
        this.traffic.decode.tokens += steps
        return async () => this.#records(await read(), 'every', known)
      },
    }
  }

  /** Leaves its batch. */
  unshare(): void {
    this.#place?.arena.destroy()
    this.#place = undefined
  }

  /**
   * Feeds the first `count` ids, a few rows at a time and from an empty cache, and reads what is left of each of them.
   * @throws `context-full`, `aborted`, `device-lost`.
   */
  async readRows(
    ids: ArrayLike<number>,
    count: number,
    signal: AbortSignal | undefined,
    make: MakeReading,
  ): Promise<{ parts: Float32Array[]; records: StepRecord[] }> {
    const { readRows } = await import('./read-rows.js')
    return readRows(this, slice(ids, 0, count), signal, make)
  }

  destroy(): void {
    if (this.#destroyed) return
    this.#destroyed = true
    const { memory } = this.engine.gpu
    this.unshare()
    this.#programs?.arena.destroy()
    this.#programs = undefined
    const { routerStride: _, ...buffers } = this.#buffers
    for (const buffer of Object.values(buffers)) memory.destroy(buffer)
    destroyCache(this.engine.gpu, this.#cache)
    this.#adjustment.destroy()
    this.#ring.destroy()
  }

  async #submitChunk(
    chunk: Uint32Array<ArrayBuffer>,
    ending: readonly Dispatch[],
    signal: AbortSignal | undefined,
    wantLogits: boolean,
    extra?: RowsReader['extra'],
  ) {
    const { gpu, shape, scratch } = this.engine
    const { plan, ids, ring } = this.#buffers
    const program = await this.#ready('prefill')
    const prefill = extra?.observed?.(program) ?? program
    this.#check()
    const known = this.#known('prefill')
    const rows = chunk.length
    gpu.device.queue.writeBuffer(plan, 0, Uint32Array.of(rows, this.#length, 0))
    gpu.device.queue.writeBuffer(ids, 0, chunk)
    const recorder = new Recorder(this.engine, this.options.timer)
    const extent = { rows, context: this.#length + rows }
    const recorded = this.#record(recorder, prefill, extent, this.traffic.prefill, signal)
    const guessed = recorded ? await recorded : []
    recorder.add(ending, extent)
    const encoder = recorder.encoder()
    const words = this.#ring.record(encoder, ring, 0, 4 * rows * this.#stride)
    const logits = wantLogits ? this.#ring.record(encoder, scratch.logits, 0, 4 * shape.config.vocabSize) : undefined
    const read = extra && this.#ring.record(encoder, extra.buffer, 0, 4 * rows * extra.values)
    recorder.submit()
    this.#length += rows
    this.traffic.prefill.tokens += rows
    const records = async (tokens: 'last' | 'none') => {
      const found = this.#records(await words(), tokens, known)
      this.#judge(guessed, found, this.traffic.prefill)
      return found
    }
    return { records, logits, extra: read }
  }

  /**
   * Records a program's dispatches. Where weights stream, what they wait for is submitted on the way, and the result is a promise of
   * the sublayers that were taken for needed; elsewhere nothing comes between what the caller writes and submits.
   */
  #record(
    recorder: Recorder,
    program: Program,
    extent: Extent,
    traffic: Traffic,
    signal: AbortSignal | undefined,
  ): Promise<number[]> | undefined {
    const { stream } = this.engine.weights
    if (!stream) {
      recorder.add(inOrder(program), extent)
      return undefined
    }
    const { plan } = this.#buffers
    const check = () => this.#check()
    const step = { stream, recorder, extent, plan, ring: this.#ring, traffic, signal, check }
    // Few models do not fit: this is loaded for them.
    return import('./streamed-step.js').then(({ recordStreamed }) => {
      check()
      return recordStreamed(program, step)
    })
  }

  /** Runs one step when no other sequence is in the midst of one; only streamed steps are ever waited for. */
  #inTurn<T>(traffic: Traffic, signal: AbortSignal | undefined, work: () => Promise<T>): Promise<T> {
    const { stream } = this.engine.weights
    if (!stream) return work()
    return stream.exclusively(async () => {
      this.#check()
      const onBytes = (bytes: number) => {
        traffic.bytes += bytes
      }
      await stream.adapt({ signal, onBytes })
      return work()
    })
  }

  /** What the present policy says before the GPU decides anything. */
  #known(phase: Phase): KnownBits {
    this.#knownBits[phase] ??= knownBits(this.engine.shape, this.#policy, phase)
    return this.#knownBits[phase]
  }

  /** Counts the guesses that no position needed. */
  #judge(guessed: readonly number[], records: readonly StepRecord[], traffic: Traffic): void {
    traffic.inVain += guessed.filter((s) => !records.some(({ bits }) => executed(bits, s))).length
  }

  #records(words: Uint32Array, tokens: 'every' | 'last' | 'none', known: KnownBits): StepRecord[] {
    const records = readRecords(words, this.engine.shape, {
      stride: this.#stride,
      known,
      margins: this.options.margins ?? false,
      tokens,
    })
    const { stream } = this.engine.weights
    for (const { bits, keysValues } of records) {
      stream?.observe(
        (sublayer) => executed(bits, sublayer),
        (layer) => keysValues[layer] === true,
      )
    }
    return records
  }

  #writeSampling(sampling: Sampling, { seen: before = [], allowed }: PrefillOptions, ids: ArrayLike<number>): void {
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
    this.#adjustment.begin(sampling, allowed)
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
  #reserve(positions: number): void {
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
    const grown = createCache(this.engine.target, Math.min(this.options.contextLength, doubled))
    copyCache(gpu, shape, this.#cache, grown, this.#length)
    destroyCache(gpu, this.#cache)
    this.#cache = grown
    this.#programs?.arena.destroy()
    this.#programs = undefined
  }

  /** Changes to the policy that was asked for. No dispatch of the former one may be waiting to be submitted. */
  #turn(): void {
    const policy = this.#nextPolicy
    if (!policy) return
    this.#check()
    this.#nextPolicy = undefined
    const { gpu, shape } = this.engine
    const { thresholds, routers } = this.#buffers
    for (const buffer of [thresholds, routers]) gpu.memory.destroy(buffer)
    this.#buffers = { ...this.#buffers, ...createPolicyBuffers(gpu, shape, policy) }
    this.#policy = policy
    this.#knownBits = {}
    this.#programs?.arena.destroy()
    this.#programs = undefined
  }

  /** Dispatches for the present policy and the present buffers of cache and weights. */
  async #ready<T extends 'decode' | 'prefill' | 'endings'>(part: T): Promise<Awaited<Programs[T]>> {
    this.#check()
    const programs = this.#present()
    const ready = await (programs[part] as Promise<Awaited<Programs[T]>>)
    this.#check()
    return ready
  }

  get #inputs(): ProgramInputs {
    const { margins = false, masked = false } = this.options
    return { policy: this.#policy, buffers: this.#buffers, cache: this.#cache, margins, masked }
  }

  #present(): Programs {
    const generation = this.engine.weights.stream?.generation ?? 0
    if (this.#programs?.generation === generation) return this.#programs
    this.#programs?.arena.destroy()
    const inputs = this.#inputs
    const arena = new ParamsArena(this.engine.gpu)
    const prefill = prefillProgram(this.engine, arena, inputs)
    const ended = endings(this.engine, arena, inputs)
    // What scales sublayers is written for rows alone: a step is a chunk of one.
    const stepwise = () =>
      inputs.policy.scoring?.kind === 'gates'
        ? prefillProgram(this.engine, arena, inputs, 'decode')
        : decodeProgram(this.engine, arena, inputs)
    // Nothing that decodes compiles before what the first token needs.
    const decode = Promise.all([prefill, ended]).then(stepwise)
    const programs = { arena, prefill, endings: ended, decode, generation }
    // Whoever needs a part is told why there is none.
    for (const part of [programs.decode, programs.prefill, programs.endings]) part.catch(() => undefined)
    this.#programs = programs
    return programs
  }

  async #lane(batch: BatchBuffers, row: number): Promise<Lane> {
    const { laneProgram } = await import('./batch/lane.js')
    this.#check()
    const programs = this.#present()
    const isHere = this.#place?.batch === batch && this.#place.row === row && this.#place.programs === programs
    if (!isHere) {
      this.unshare()
      const arena = new ParamsArena(this.engine.gpu)
      this.#place = { batch, row, programs, arena, lane: laneProgram(this.engine, arena, this.#inputs, batch, row) }
    }
    const lane = await (this.#place as Place).lane
    this.#check()
    return lane
  }

  /** The end of the prompt, or of a step behind it. */
  async #finish(part: 'prompt' | 'step'): Promise<readonly Dispatch[]> {
    return this.#ended(await this.#ready('endings'), part)
  }

  /** The ending, with the logits adjusted where the generation asks for it. */
  async #ended(
    { score, sample, finish }: Pick<Endings, 'score' | 'sample' | 'finish'>,
    part: 'prompt' | 'step',
    logits?: BoundBuffer,
  ): Promise<readonly Dispatch[]> {
    this.#check()
    const adjusted = await this.#adjustment.dispatch(this.#present().arena, this.#buffers, part, logits)
    this.#check()
    return adjusted ? [...score, adjusted.dispatch, sample(adjusted.logits)] : finish
  }

  /**
   * A sequence may be destroyed while a call on it waits, and even between a promise's end and the code behind its `await`: the call must not
   * allocate anything afterwards.
   */
  #check(): void {
    if (this.#destroyed) throw new SkipstoneError('disposed', 'This sequence was destroyed while it was in use.')
  }
}

function slice(ids: ArrayLike<number>, first: number, count: number): Uint32Array<ArrayBuffer> {
  return Uint32Array.from({ length: count }, (_, i) => ids[first + i] as number)
}
