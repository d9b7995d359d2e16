type Numbers = Uint8Array | Uint32Array | Float32Array

/** A typed array that grows as rows are written, so that a long live text costs no object per cell. */
export class GrowingArray<T extends Numbers> {
  #values: T

  constructor(
    private readonly make: new (length: number) => T,
    initial = 256,
  ) {
    this.#values = new make(initial)
  }

  get(i: number): number {
    return this.#values[i] ?? 0
  }

  set(i: number, value: number): void {
    this.#reserve(i + 1)
    this.#values[i] = value
  }

  /** Writes `values` from index `at` on. */
  write(at: number, values: ArrayLike<number>): void {
    this.#reserve(at + values.length)
    this.#values.set(values, at)
  }

  #reserve(length: number): void {
    if (length <= this.#values.length) return
    const larger = new this.make(Math.max(length, 2 * this.#values.length))
    larger.set(this.#values)
    this.#values = larger
  }
}
