import { SkipstoneError } from '../errors.js'
import { FLOAT_BYTES, type FloatDtype } from './half.js'

export interface TensorToWrite {
  readonly dtype: FloatDtype
  readonly shape: readonly number[]
  /** Row-major, little-endian. */
  readonly data: Uint8Array
}

/** Data starts at a multiple of this, as other writers do, so that readers can map the file. */
const ALIGNMENT = 8

/**
 * A safetensors file with the tensors in the map's order. `metadata` becomes the file's `__metadata__`.
 * `internal` where a tensor's data does not have the length of its shape and dtype.
 */
export function writeSafetensors(
  tensors: ReadonlyMap<string, TensorToWrite>,
  metadata: Readonly<Record<string, string>> = {},
): Uint8Array {
  const header: [string, unknown][] = Object.keys(metadata).length > 0 ? [['__metadata__', metadata]] : []
  let dataBytes = 0
  for (const [name, { dtype, shape, data }] of tensors) {
    const expected = shape.reduce((product, size) => product * size, FLOAT_BYTES[dtype])
    if (data.byteLength !== expected) {
      throw new SkipstoneError(
        'internal',
        `Tensor "${name}" was given ${data.byteLength} bytes to write where its shape needs ${expected}.`,
      )
    }
    header.push([name, { dtype, shape, data_offsets: [dataBytes, dataBytes + data.byteLength] }])
    dataBytes += data.byteLength
  }

  const json = new TextEncoder().encode(JSON.stringify(Object.fromEntries(header)))
  const headerBytes = Math.ceil(json.byteLength / ALIGNMENT) * ALIGNMENT
  const file = new Uint8Array(8 + headerBytes + dataBytes)
  new DataView(file.buffer).setBigUint64(0, BigInt(headerBytes), true)
  file.fill(0x20, 8, 8 + headerBytes) // JSON allows trailing spaces; the format asks for exactly these
  file.set(json, 8)
  let offset = 8 + headerBytes
  for (const { data } of tensors.values()) {
    file.set(data, offset)
    offset += data.byteLength
  }
  return file
}
