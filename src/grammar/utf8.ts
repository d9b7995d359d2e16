/** Bytes at one place of a sequence: from .. to. */
export type ByteRange = readonly [from: number, to: number]

/** The largest code points of 1, 2 and 3 bytes. */
const WIDTH_ENDS = [0x7f, 0x7ff, 0xffff]

/**
 * The UTF-8 of all code points from .. to, as sequences of byte ranges: a text matches where every byte lies in the range
 * of its place. Surrogates have no UTF-8 and are left out.
 */
export function utf8Sequences(from: number, to: number): ByteRange[][] {
  const out: ByteRange[][] = []
  collect(from, Math.min(to, 0xd7ff), out)
  collect(Math.max(from, 0xe000), to, out)
  return out
}

function collect(from: number, to: number, out: ByteRange[][]): void {
  if (from > to) return
  for (const end of WIDTH_ENDS)
    if (from <= end && end < to) {
      collect(from, end, out)
      collect(end + 1, to, out)
      return
    }
  // Where the lead bytes differ, the trailing bytes must run through their whole range.
  for (let bits = to <= 0x7f ? 24 : 6; bits <= 18; bits += 6) {
    const low = (1 << bits) - 1
    if (from >> bits === to >> bits) continue
    if ((from & low) !== 0) {
      collect(from, from | low, out)
      collect((from | low) + 1, to, out)
      return
    }
    if ((to & low) !== low) {
      collect(from, (to & ~low) - 1, out)
      collect(to & ~low, to, out)
      return
    }
  }
  const first = encode(from)
  const last = encode(to)
  out.push(first.map((byte, i) => [byte, last[i]!]))
}

function encode(codePoint: number): number[] {
  if (codePoint <= 0x7f) return [codePoint]
  const trail = (shift: number) => 0x80 | ((codePoint >> shift) & 0x3f)
  if (codePoint <= 0x7ff) return [0xc0 | (codePoint >> 6), trail(0)]
  if (codePoint <= 0xffff) return [0xe0 | (codePoint >> 12), trail(6), trail(0)]
  return [0xf0 | (codePoint >> 18), trail(12), trail(6), trail(0)]
}
