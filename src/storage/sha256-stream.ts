/** Bytes of a block; a block is hashed in as many rounds. */
const BLOCK = 64

const PRIMES: number[] = []
for (let n = 2; PRIMES.length < BLOCK; n++) if (PRIMES.every((prime) => n % prime !== 0)) PRIMES.push(n)

// The standard takes its constants from roots: the first 32 bits behind the point. No root is so close to the next bits that its last ones matter.
const fraction = (root: number) => ((root % 1) * 2 ** 32) | 0
const INITIAL = PRIMES.slice(0, 8).map((prime) => fraction(Math.sqrt(prime)))
const ROUNDS = Int32Array.from(PRIMES, (prime) => fraction(Math.cbrt(prime)))

/** SHA-256 (FIPS 180-4) of bytes that come in pieces: SubtleCrypto wants them all at once. */
export class Sha256 {
  readonly #state = Int32Array.from(INITIAL)
  readonly #schedule = new Int32Array(BLOCK)
  readonly #rest = new Uint8Array(BLOCK)
  #length = 0

  update(bytes: Uint8Array): void {
    let at = 0
    const filled = this.#length % BLOCK
    this.#length += bytes.length
    if (filled > 0) {
      at = Math.min(BLOCK - filled, bytes.length)
      this.#rest.set(bytes.subarray(0, at), filled)
      if (filled + at < BLOCK) return
      this.#take(new DataView(this.#rest.buffer), 0)
    }
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
    for (; at + BLOCK <= bytes.length; at += BLOCK) this.#take(view, at)
    this.#rest.set(bytes.subarray(at))
  }

  /** In hexadecimal. Nothing may follow. */
  digest(): string {
    const end = new Uint8Array(Math.ceil((this.#length + 9) / BLOCK) * BLOCK - this.#length)
    const view = new DataView(end.buffer)
    view.setUint8(0, 0x80)
    view.setUint32(end.length - 8, this.#length / 2 ** 29)
    view.setUint32(end.length - 4, this.#length * 8)
    this.update(end)
    return Array.from(this.#state, (word) => (word >>> 0).toString(16).padStart(8, '0')).join('')
  }

  #take(bytes: DataView, at: number): void {
    const [state, w] = [this.#state, this.#schedule]
    for (let i = 0; i < 16; i++) w[i] = bytes.getInt32(at + 4 * i)
    for (let i = 16; i < BLOCK; i++) {
      const before = w[i - 15] as number
      const last = w[i - 2] as number
      const s0 = turned(before, 7) ^ turned(before, 18) ^ (before >>> 3)
      const s1 = turned(last, 17) ^ turned(last, 19) ^ (last >>> 10)
      w[i] = ((w[i - 16] as number) + s0 + (w[i - 7] as number) + s1) | 0
    }
    let a = state[0] as number
    let b = state[1] as number
    let c = state[2] as number
    let d = state[3] as number
    let e = state[4] as number
    let f = state[5] as number
    let g = state[6] as number
    let h = state[7] as number
    for (let i = 0; i < BLOCK; i++) {
      const s1 = turned(e, 6) ^ turned(e, 11) ^ turned(e, 25)
      const t1 = (h + s1 + ((e & f) ^ (~e & g)) + (ROUNDS[i] as number) + (w[i] as number)) | 0
      const s0 = turned(a, 2) ^ turned(a, 13) ^ turned(a, 22)
      h = g
      g = f
      f = e
      e = (d + t1) | 0
      d = c
      const t2 = (s0 + ((a & b) ^ (a & c) ^ (b & c))) | 0
      c = b
      b = a
      a = (t1 + t2) | 0
    }
    state[0] = (state[0] as number) + a
    state[1] = (state[1] as number) + b
    state[2] = (state[2] as number) + c
    state[3] = (state[3] as number) + d
    state[4] = (state[4] as number) + e
    state[5] = (state[5] as number) + f
    state[6] = (state[6] as number) + g
    state[7] = (state[7] as number) + h
  }
}

function turned(word: number, by: number): number {
  return (word >>> by) | (word << (32 - by))
}
