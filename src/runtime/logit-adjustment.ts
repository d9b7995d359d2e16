import type { AdjustLogitsOptions } from '../../shaders/adjust-logits.wgsl.js'
import type { BoundBuffer, Dispatch, ParamsArena } from '../gpu/dispatch.js'
import { AMOUNTS_BYTES, adjustAmounts } from '../kernels/adjust-amounts.js'
import type { Engine } from './engine.js'
import type { Sampling } from './sampling.js'
import type { SequenceBuffers } from './sequence-buffers.js'

/**
 * What stands between a sequence's logits and its sampler: biases, penalties, and the tokens that a grammar allows. Nothing, and no buffers, until a
 * generation asks for them.
 */
export class LogitAdjustment {
  #wanted: AdjustLogitsOptions = NOTHING
  #destroyed = false
  readonly #buffers = new Map<string, GPUBuffer>()

  constructor(private readonly engine: Engine) {}

  /** A generation begins: none of its tokens is counted yet. With `allowed`, only those tokens may come first. */
  begin(sampling: Sampling, allowed?: Uint32Array<ArrayBuffer>): void {
    const { logitBias = {}, presencePenalty: presence = 0, frequencyPenalty: frequency = 0 } = sampling
    const vocab = this.engine.shape.config.vocabSize
    const { queue } = this.engine.gpu.device
    const biases = Object.entries(logitBias)
    this.#wanted = {
      bias: biases.length > 0,
      penalties: presence !== 0 || frequency !== 0,
      mask: allowed !== undefined,
    }
    if (!anything(this.#wanted)) return
    queue.writeBuffer(this.#amounts(), 0, adjustAmounts({ presence, frequency, vocab }))
    if (this.#wanted.bias) {
      const all = new Float32Array(vocab)
      for (const [id, bias] of biases) all[Number(id)] = bias
      queue.writeBuffer(this.#storage('bias', vocab), 0, all)
    }
    if (this.#wanted.penalties) queue.writeBuffer(this.#storage('counts', vocab), 0, new Uint32Array(vocab))
    if (allowed) this.allow(allowed)
  }

  /** How often each token was generated, where the generation counts that. */
  recount(counts: Uint32Array<ArrayBuffer>): void {
    if (this.#wanted.penalties)
      this.engine.gpu.device.queue.writeBuffer(this.#storage('counts', counts.length), 0, counts)
  }

  /** The only tokens that the next step may choose, where the generation began with such a set. */
  allow(tokens: Uint32Array<ArrayBuffer>): void {
    this.engine.gpu.device.queue.writeBuffer(this.#storage('allowed tokens', tokens.length), 0, tokens)
  }

  /** The dispatch, and the logits that it leaves; undefined where the sampler takes those of the model. */
  async dispatch(
    arena: ParamsArena,
    { plan, ids }: Pick<SequenceBuffers, 'plan' | 'ids'>,
    part: 'prompt' | 'step',
    logits: BoundBuffer = this.engine.scratch.logits,
  ): Promise<{ dispatch: Dispatch; logits: GPUBuffer } | undefined> {
    // Behind the prompt nothing was generated, and the first id is the prompt's.
    const variant = { ...this.#wanted, penalties: this.#wanted.penalties && part === 'step' }
    if (!anything(variant)) return undefined
    const { gpu, shape } = this.engine
    const { vocabSize: vocab } = shape.config
    const { adjustLogitsKernel } = await import('../kernels/adjust-logits.js')
    const kernel = await adjustLogitsKernel(gpu, variant)
    if (this.#destroyed) return undefined
    const out = this.#storage('adjusted logits', vocab)
    const buffers = {
      plan,
      logits,
      out,
      amounts: this.#amounts(),
      bias: variant.bias ? this.#storage('bias', vocab) : undefined,
      ids,
      counts: variant.penalties ? this.#storage('counts', vocab) : undefined,
      allowed: variant.mask ? this.#storage('allowed tokens', Math.ceil(vocab / 32)) : undefined,
    }
    return { dispatch: kernel(arena, buffers, vocab), logits: out }
  }

  destroy(): void {
    this.#destroyed = true
    for (const buffer of this.#buffers.values()) this.engine.gpu.memory.destroy(buffer)
    this.#buffers.clear()
  }

  #amounts(): GPUBuffer {
    return this.#kept('amounts', () =>
      this.engine.gpu.memory.create('amounts', AMOUNTS_BYTES, GPUBufferUsage.UNIFORM | GPUBufferUsage.COPY_DST),
    )
  }

  #storage(name: string, words: number): GPUBuffer {
    return this.#kept(name, () => this.engine.gpu.memory.storage(name, 4 * words))
  }

  #kept(name: string, create: () => GPUBuffer): GPUBuffer {
    const known = this.#buffers.get(name)
    if (known) return known
    const buffer = create()
    this.#buffers.set(name, buffer)
    return buffer
  }
}

const NOTHING: AdjustLogitsOptions = { bias: false, penalties: false, mask: false }

function anything({ bias, penalties, mask }: AdjustLogitsOptions): boolean {
  return bias || penalties || mask
}
