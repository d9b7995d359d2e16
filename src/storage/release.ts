/**
 * Gives the memory of `bytes` back at once, where their buffer is theirs alone: nobody may read them afterwards. Garbage of this
 * size is else collected late, and a load would hold many times what it needs.
 */
export function release(bytes: Uint8Array<ArrayBuffer>): void {
  // Newer than WebGPU in some browsers: there the collector has to do.
  const buffer: ArrayBuffer & { transfer?: (length: number) => ArrayBuffer } = bytes.buffer
  if (buffer.byteLength > 0 && bytes.byteLength === buffer.byteLength) buffer.transfer?.(0)
}
