import type { Sampling } from '../sampling.js'
import type { Choice } from './distribution.js'

/** What penalties ask of the context: which tokens are in it, and how often each was generated. */
export class Spoken {
  readonly counts = new Map<number, number>()
  readonly #seen: Uint32Array<ArrayBuffer>

  constructor(
    private readonly sampling: Sampling,
    private readonly vocab: number,
    context: readonly number[],
  ) {
    this.#seen = new Uint32Array(Math.ceil(vocab / 32))
    for (const id of context) this.#mark(id)
  }

  /** A token was generated. */
  add(token: number): void {
    this.#mark(token)
    this.counts.set(token, (this.counts.get(token) ?? 0) + 1)
  }

  /** How the next token is chosen. */
  choice(allowed: Uint32Array | undefined): Choice {
    const seen = this.#seen
    const { sampling, counts } = this
    return { sampling, counts, allowed, seen: (id) => (((seen[id >> 5] as number) >>> (id & 31)) & 1) === 1 }
  }

  /** What the sampler on the GPU has to know before it goes on from `newest`, which it counts itself. */
  before(newest: number): { seen?: Uint32Array<ArrayBuffer>; counts?: Uint32Array<ArrayBuffer> } {
    const { repetitionPenalty, presencePenalty = 0, frequencyPenalty = 0 } = this.sampling
    const counts = new Uint32Array(presencePenalty !== 0 || frequencyPenalty !== 0 ? this.vocab : 0)
    for (const [id, count] of counts.length > 0 ? this.counts : []) counts[id] = count - (id === newest ? 1 : 0)
    return { ...(repetitionPenalty !== 1 && { seen: this.#seen }), ...(counts.length > 0 && { counts }) }
  }

  #mark(id: number): void {
    this.#seen[id >> 5] = (this.#seen[id >> 5] as number) | (1 << (id & 31))
  }
}
