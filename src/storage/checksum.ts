const PRIME_1 = 0x9e3779b1
const PRIME_2 = 0x85ebca77

/**
 * 128 bits that tell whether stored bytes are still the ones that were stored: four lanes of xxHash32's rounds (Collet 2012), so that
 * no change of a single word goes unnoticed, and another one with a probability of 2⁻³² at most. Several times as fast as SHA-256, which takes longer
 * than reading the bytes does; against someone who can write to the store no hash in the same store helps.
 */
export function checksum(bytes: Uint8Array<ArrayBuffer>): string {
  const even = bytes.byteLength - (bytes.byteLength % 16)
  const tail = new Uint8Array(16)
  tail.set(bytes.subarray(even))
  // Not plain numbers, or engines compute with floats, at half the speed.
  const lanes = Int32Array.of(PRIME_1, PRIME_2, 0, -PRIME_1)
  addWords(lanes, words(bytes.subarray(0, even)))
  addWords(lanes, words(tail))
  return Array.from(lanes, (lane) => (lane >>> 0).toString(16).padStart(8, '0')).join('')
}

/** The loop alone in its function: engines compile it as a whole. `values` are a multiple of four. */
function addWords(lanes: Int32Array, values: Int32Array): void {
  let a = lanes[0] as number
  let b = lanes[1] as number
  let c = lanes[2] as number
  let d = lanes[3] as number
  for (let i = 0; i < values.length; i += 4) {
    a = round(a, values[i] as number)
    b = round(b, values[i + 1] as number)
    c = round(c, values[i + 2] as number)
    d = round(d, values[i + 3] as number)
  }
  lanes.set([a, b, c, d])
}

function round(lane: number, value: number): number {
  const mixed = (lane + Math.imul(value, PRIME_2)) | 0
  return Math.imul((mixed << 13) | (mixed >>> 19), PRIME_1)
}

function words({ buffer, byteOffset, byteLength }: Uint8Array<ArrayBuffer>): Int32Array {
  const aligned = byteOffset % 4 === 0
  return aligned
    ? new Int32Array(buffer, byteOffset, byteLength / 4)
    : new Int32Array(buffer.slice(byteOffset, byteOffset + byteLength))
}
