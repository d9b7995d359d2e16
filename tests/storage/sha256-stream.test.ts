import { createHash } from 'node:crypto'
import fc from 'fast-check'
import { expect, it } from 'vitest'
import { Sha256 } from '../../src/storage/sha256-stream.js'

const bytes = Uint8Array.from({ length: 1000 }, (_, i) => (i * 167) ^ (i >> 3))

function hashed(...pieces: readonly Uint8Array[]): string {
  const hash = new Sha256()
  for (const piece of pieces) hash.update(piece)
  return hash.digest()
}

it('hashes as Node does, whatever the length and the pieces', () => {
  for (let length = 0; length < 200; length++) {
    const whole = bytes.subarray(7, 7 + length)
    expect(hashed(whole), `${length} bytes`).toBe(createHash('sha256').update(whole).digest('hex'))
  }
  const expected = createHash('sha256').update(bytes).digest('hex')
  fc.assert(
    fc.property(fc.array(fc.nat(bytes.length)), (cuts) => {
      const at = [0, ...cuts.sort((a, b) => a - b), bytes.length]
      expect(hashed(...at.slice(1).map((end, i) => bytes.subarray(at[i], end)))).toBe(expected)
    }),
  )
})

it('counts more bytes than 32 bits of bits can', () => {
  const piece = new Uint8Array(2 ** 26)
  const node = createHash('sha256')
  const hash = new Sha256()
  for (let i = 0; i < 8; i++) {
    hash.update(piece)
    node.update(piece)
  }
  expect(hash.digest()).toBe(node.digest('hex'))
}, 60_000)
