import { expect, it } from 'vitest'
import { readBlob } from '../../src/storage/blob-bytes.js'

/** Comparing so many one by one takes seconds. */
const isAll = (bytes: Uint8Array) => Buffer.compare(bytes, BYTES) === 0

const BYTES = Uint8Array.from({ length: 300_001 }, (_, i) => i * 7)

it('reads a blob into the memory that it is given, where that is long enough', async () => {
  const into = new ArrayBuffer(400_000)
  const bytes = await readBlob(new Blob([BYTES]), into)
  expect(isAll(bytes)).toBe(true)
  expect(bytes.buffer.byteLength).toBe(400_000)
  expect(into.byteLength).toBe(0)
  const short = new ArrayBuffer(10)
  expect(isAll(await readBlob(new Blob([BYTES]), short))).toBe(true)
  expect(short.byteLength).toBe(10)
  expect(await readBlob(new Blob([]), short)).toEqual(new Uint8Array(0))
})

it('reads blobs that give no streams of bytes', async () => {
  const blob = new Blob([BYTES])
  blob.stream = () => new ReadableStream()
  expect(isAll(await readBlob(blob, new ArrayBuffer(400_000)))).toBe(true)
})
