/** Readers at work. Chromium collects one that nothing but its own read keeps alive, and then that read never ends. */
const reading = new Set<ReadableStreamBYOBReader>()

/**
 * The bytes of a blob. With `into`, they are read into that buffer where it is large enough: it is detached, and the result lies in the
 * buffer that took over its memory. Whatever else gives a blob's bytes leaves a copy of them to the garbage collector, which comes late:
 * of a large file, hundreds of megabytes.
 */
export async function readBlob(blob: Blob, into?: ArrayBuffer): Promise<Uint8Array<ArrayBuffer>> {
  const reader = byteReader(blob)
  if (!reader) return new Uint8Array(await blob.arrayBuffer())
  reading.add(reader)
  try {
    return await readAll(reader, blob.size, into)
  } finally {
    reading.delete(reader)
  }
}

async function readAll(
  reader: ReadableStreamBYOBReader,
  size: number,
  into: ArrayBuffer | undefined,
): Promise<Uint8Array<ArrayBuffer>> {
  let buffer = into && into.byteLength >= size ? into : new ArrayBuffer(size)
  for (let filled = 0; filled < size; ) {
    const { done, value } = await reader.read(new Uint8Array(buffer, filled, size - filled))
    if (done) throw new Error(`A blob of ${size} bytes ended after ${filled}.`)
    buffer = value.buffer as ArrayBuffer
    filled += value.byteLength
  }
  return new Uint8Array(buffer, 0, size)
}

/** Undefined where the browser's blobs give no streams of bytes. */
function byteReader(blob: Blob): ReadableStreamBYOBReader | undefined {
  try {
    return blob.stream().getReader({ mode: 'byob' })
  } catch {
    return undefined
  }
}
