/** Packs many small f32 vectors into one array; each starts at a multiple of four values, so that shaders read vec4s. */
export class VectorArena {
  readonly #parts: { offset: number; values: Float32Array }[] = []
  #length = 0

  get bytes(): number {
    return 4 * this.#length
  }

  /** Adds vectors one behind the other; returns where they start, in units of four values. */
  add(vectors: readonly Float32Array[]): number {
    const start = this.#length
    for (const values of vectors) {
      this.#parts.push({ offset: this.#length, values })
      this.#length += values.length
    }
    this.#length = Math.ceil(this.#length / 4) * 4
    return start / 4
  }

  concatenate(): Float32Array<ArrayBuffer> {
    const all = new Float32Array(this.#length)
    for (const { offset, values } of this.#parts) all.set(values, offset)
    return all
  }
}
