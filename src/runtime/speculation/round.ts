import { type Dispatch, ParamsArena } from '../../gpu/dispatch.js'
import { ReadbackRing } from '../../gpu/readback.js'
import { embedKernel } from '../../kernels/embed.js'
import type { Program } from '../program.js'
import type { StepRecord } from '../records.js'
import { rowsLogits } from '../rows-logits.js'
import type { RowsReader } from '../rows-reader.js'
import type { Sequence } from '../sequence.js'

/** What a round left to be judged. */
export interface Drafted {
  /** Drafted tokens; undefined behind a stop token. */
  readonly tokens: readonly (number | undefined)[]
  /** What the drafts were drawn from; none where that was not asked for. */
  readonly draftLogits: readonly Float32Array[]
  /** Of the newest token and of each drafted one, as verified: what they executed, and the logits of what follows. */
  readonly records: readonly StepRecord[]
  readonly logits: readonly Float32Array[]
  readonly draftMs: number
  readonly verifyMs: number
}

/**
 * Drafts and verifies. The drafted tokens go from one submit into the next on the GPU, and the CPU waits once, for both.
 */
export class Round implements RowsReader {
  readonly rows: number
  readonly extra: RowsReader['extra']
  readonly #arena: ParamsArena
  readonly #ring: ReadbackRing
  /** The newest token, and those drafted behind it. */
  readonly #tokens: GPUBuffer
  readonly #draftLogits: GPUBuffer | undefined
  #ending: Promise<Dispatch[]> | undefined
  #embed: Dispatch | undefined
  #logits: Float32Array[] = []

  /** Drafts have `most` tokens at most. */
  constructor(
    private readonly sequence: Sequence,
    { most, draftLogits }: { most: number; draftLogits: boolean },
  ) {
    const { gpu } = sequence.engine
    this.rows = most + 1
    this.#arena = new ParamsArena(gpu)
    this.#ring = new ReadbackRing(gpu)
    this.#tokens = gpu.memory.storage('drafted tokens', 4 * this.rows)
    this.#draftLogits = draftLogits ? gpu.memory.storage('logits of drafts', 4 * most * this.#vocab) : undefined
    this.extra = {
      buffer: gpu.memory.storage('rows logits', 4 * this.rows * this.#vocab),
      values: this.#vocab,
      // The ids that the CPU feeds stand for those that it does not know yet.
      observed: (program: Program) => ({ ...program, embed: this.#embed as Dispatch }),
    }
  }

  /** Compiles what it needs. */
  async prepare(): Promise<void> {
    const { gpu, shape, weights, scratch, target } = this.sequence.engine
    const embed = await embedKernel(gpu, { width4: shape.d4, stride4: shape.d4, dtype: target.dtypes.embedding })
    const { plan } = this.sequence
    this.#embed ??= embed(this.#arena, { plan, ids: this.#tokens, table: weights.embedding, x: scratch.x })
    await this.dispatches(plan)
  }

  /** `newest` is not in the cache yet; behind the round all its positions are, as verified. */
  async run(newest: number, length: number, signal: AbortSignal | undefined): Promise<Drafted> {
    const { sequence } = this
    const from = sequence.length
    const started = performance.now()
    sequence.engine.gpu.device.queue.writeBuffer(this.#tokens, 0, Uint32Array.of(newest))
    const draft = length > 0 ? await this.#draft(length, signal) : async () => ({ tokens: [], draftLogits: [] })
    sequence.rewind(from)
    const [drafted, verified] = await Promise.allSettled([
      draft().then((read) => ({ ...read, done: performance.now() })),
      sequence.prefill(new Uint32Array(length + 1), { reader: this, ...(signal && { signal }) }),
    ])
    if (drafted.status === 'rejected') throw drafted.reason
    if (verified.status === 'rejected') throw verified.reason
    const { done, ...read } = drafted.value
    const { records } = verified.value
    return {
      ...read,
      records,
      logits: this.#logits,
      draftMs: length > 0 ? done - started : 0,
      verifyMs: performance.now() - (length > 0 ? done : started),
    }
  }

  dispatches(plan: GPUBuffer): Promise<readonly Dispatch[]> {
    this.#ending ??= rowsLogits(this.sequence.engine, this.#arena, plan, this.extra.buffer)
    return this.#ending
  }

  read(_: number, words: Uint32Array): void {
    this.#logits = this.#split(words)
  }

  destroy(): void {
    const { memory } = this.sequence.engine.gpu
    this.#arena.destroy()
    this.#ring.destroy()
    for (const buffer of [this.#tokens, this.extra.buffer, this.#draftLogits]) if (buffer) memory.destroy(buffer)
  }

  get #vocab(): number {
    return this.sequence.engine.shape.config.vocabSize
  }

  async #draft(length: number, signal: AbortSignal | undefined) {
    const { sequence } = this
    const bytes = 4 * this.#vocab
    let readLogits: (() => Promise<Uint32Array>) | undefined
    const read = await sequence.decode(length, signal, {
      behind: (encoder, step, ids) => {
        encoder.copyBufferToBuffer(ids, 0, this.#tokens, 4 * (step + 1), 4)
        if (!this.#draftLogits) return
        encoder.copyBufferToBuffer(sequence.engine.scratch.logits, 0, this.#draftLogits, step * bytes, bytes)
        if (step === length - 1) readLogits = this.#ring.record(encoder, this.#draftLogits, 0, length * bytes)
      },
    })
    return async () => {
      const [records, logits] = await Promise.all([read(), readLogits?.()])
      return { tokens: records.map(({ token }) => token), draftLogits: logits ? this.#split(logits) : [] }
    }
  }

  #split(words: Uint32Array): Float32Array[] {
    const all = new Float32Array(words.buffer)
    const vocab = this.#vocab
    return Array.from({ length: all.length / vocab }, (_, row) => all.subarray(row * vocab, (row + 1) * vocab))
  }
}
