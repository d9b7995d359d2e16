/** Steps whose losses are averaged: batches differ. */
const WINDOW = 20
/**
 * Tells when a run has diverged: a loss that is no finite number, or a mean of the last steps above `factor` times the least such mean so far.
 * Means at the beginning are over the steps that there are, so that a run that leaves its start at once is seen too.
 */
export class LossWatch {
  readonly #last: number[] = []
  #least = Number.POSITIVE_INFINITY

  constructor(
    losses: readonly number[],
    private readonly factor: number,
  ) {
    for (const loss of losses) this.#add(loss)
  }

  /** Takes the loss of a step, and says whether the run goes on. */
  accepts(loss: number): boolean {
    if (!Number.isFinite(loss)) return false
    this.#add(loss)
    return this.#last.length < WINDOW || this.#mean <= this.factor * this.#least
  }

  /** Whether a state of now is worth keeping: nearer to the best than to what ends a run. */
  get isCalm(): boolean {
    return this.#mean <= ((1 + this.factor) / 2) * this.#least
  }

  get #mean(): number {
    return this.#last.reduce((sum, loss) => sum + loss, 0) / this.#last.length
  }

  #add(loss: number): void {
    this.#last.push(loss)
    if (this.#last.length > WINDOW) this.#last.shift()
    this.#least = Math.min(this.#least, this.#mean)
  }
}
