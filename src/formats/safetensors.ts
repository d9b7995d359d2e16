import { SkipstoneError } from '../errors.js'
import { type FloatDtype, toFloat32 } from './half.js'
import { type JsonObject, jsonObject, show } from './json.js'

// The format: u64 little-endian length N, N bytes of JSON, then the data that the JSON's offsets index without gaps.
// https://huggingface.co/docs/safetensors

/** One tensor of a file. `start` and `end` are byte offsets in the file (not in its data part), `end` exclusive. */
export interface TensorEntry {
  readonly name: string
  /** As written in the file; `tensorDtype` tells whether it can be read. */
  readonly dtype: string
  readonly shape: readonly number[]
  readonly start: number
  readonly end: number
}

/** A whole file in memory. */
export interface TensorFile {
  readonly entries: ReadonlyMap<string, TensorEntry>
  /** The free-form `__metadata__` of the file. */
  readonly metadata: ReadonlyMap<string, string>
  /** The bytes of one tensor, a view of the file; `missing-tensor` where there is none of this name. */
  data(name: string): Uint8Array
}

/** The reference implementation's limit; it keeps a damaged length from asking for gigabytes. */
const MAX_HEADER_BYTES = 100_000_000

const METADATA_KEY = '__metadata__'

/** Element sizes. Types that are not listed (below 8 bits, or newer than this file) pass through unmeasured. */
const DTYPE_BYTES: ReadonlyMap<string, number> = new Map([
  ...['BOOL', 'U8', 'I8', 'F8_E5M2', 'F8_E4M3', 'F8_E8M0'].map((name) => [name, 1] as const),
  ...['U16', 'I16', 'F16', 'BF16'].map((name) => [name, 2] as const),
  ...['U32', 'I32', 'F32'].map((name) => [name, 4] as const),
  ...['U64', 'I64', 'F64', 'C64'].map((name) => [name, 8] as const),
])

function bad(message: string, cause?: unknown): SkipstoneError {
  return new SkipstoneError('bad-file', `${message} The safetensors file is damaged or cut off; fetch it again.`, {
    cause,
  })
}

/**
 * The length in bytes of the JSON header, from the first 8 bytes of a file. `fileSize` in bytes, undefined where unknown.
 * `bad-file` where the file is too short or the length exceeds the file or 100 MB.
 */
export function safetensorsHeaderLength(first8: Uint8Array, fileSize: number | undefined): number {
  if (first8.byteLength < 8) throw bad(`The file ends after ${first8.byteLength} bytes, before its header length.`)
  const length = new DataView(first8.buffer, first8.byteOffset, 8).getBigUint64(0, true)
  if (length > MAX_HEADER_BYTES)
    throw bad(`The header claims ${length} bytes; at most ${MAX_HEADER_BYTES} are allowed.`)
  if (fileSize !== undefined && Number(length) > fileSize - 8) {
    throw bad(`The header claims ${length} bytes, but the file has ${fileSize} in all.`)
  }
  return Number(length)
}

/**
 * The tensors of a file, by name, in the order of their data. `headerBytes` is the JSON part alone; `fileSize` in bytes,
 * undefined where unknown. `bad-file` where the header is malformed, or where offsets overlap, leave gaps, disagree with
 * shape and dtype, or do not fill the file exactly.
 */
export function parseSafetensorsHeader(
  headerBytes: Uint8Array,
  fileSize: number | undefined,
): Map<string, TensorEntry> {
  return tensorEntries(headerObject(headerBytes), headerBytes.byteLength, fileSize)
}

/** A whole file in memory (routers, adapters, small models). `bad-file` as in the two functions above. */
export function parseSafetensors(bytes: Uint8Array): TensorFile {
  const headerLength = safetensorsHeaderLength(bytes.subarray(0, 8), bytes.byteLength)
  const header = headerObject(bytes.subarray(8, 8 + headerLength))
  return tensorFile(bytes, tensorEntries(header, headerLength, bytes.byteLength), metadataOf(header))
}

/** A file in memory whose tensors are known. */
export function tensorFile(
  bytes: Uint8Array,
  entries: ReadonlyMap<string, TensorEntry>,
  metadata: ReadonlyMap<string, string> = new Map(),
): TensorFile {
  return {
    entries,
    metadata,
    data(name) {
      const entry = entries.get(name)
      if (!entry) {
        throw new SkipstoneError(
          'missing-tensor',
          `The file has no tensor "${name}"; check that it belongs to this model.`,
        )
      }
      return bytes.subarray(entry.start, entry.end)
    },
  }
}

/** The dtype of a tensor whose values are about to be read; `unsupported` where Skipstone cannot read it. */
export function tensorDtype(entry: TensorEntry): FloatDtype {
  if (entry.dtype === 'F32' || entry.dtype === 'F16' || entry.dtype === 'BF16') return entry.dtype
  throw new SkipstoneError(
    'unsupported',
    `Tensor "${entry.name}" has dtype ${entry.dtype}; Skipstone reads F32, F16 and BF16. Use an unquantised checkpoint.`,
  )
}

/**
 * The values of one tensor as f32, row-major. `bytes` are the tensor's own (`end - start` of them), at any alignment.
 * `unsupported` for other than F32, F16, BF16; `bad-file` where the length is wrong.
 */
export function readF32(entry: TensorEntry, bytes: Uint8Array): Float32Array {
  const dtype = tensorDtype(entry)
  if (bytes.byteLength !== entry.end - entry.start) {
    throw bad(`Tensor "${entry.name}" has ${entry.end - entry.start} bytes, but ${bytes.byteLength} were read.`)
  }
  return toFloat32(bytes, dtype)
}

function headerObject(headerBytes: Uint8Array): JsonObject {
  let value: unknown
  try {
    value = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(headerBytes))
  } catch (error) {
    throw bad('The header is not valid JSON.', error)
  }
  return jsonObject(value, 'The safetensors header')
}

function metadataOf(header: JsonObject): Map<string, string> {
  if (!Object.hasOwn(header, METADATA_KEY)) return new Map()
  const metadata = new Map<string, string>()
  for (const [key, value] of Object.entries(jsonObject(header[METADATA_KEY], 'The safetensors metadata'))) {
    if (typeof value !== 'string') throw bad(`The metadata "${key}" is ${show(value)}, not a string.`)
    metadata.set(key, value)
  }
  return metadata
}

function tensorEntries(
  header: JsonObject,
  headerLength: number,
  fileSize: number | undefined,
): Map<string, TensorEntry> {
  const dataStart = 8 + headerLength
  const entries = Object.entries(header)
    .filter(([name]) => name !== METADATA_KEY)
    .map(([name, value]) => tensorEntry(name, value, dataStart))
    .sort((a, b) => a.start - b.start || a.end - b.end)

  let next = dataStart
  for (const { name, start, end } of entries) {
    if (start < next) throw bad(`Tensor "${name}" overlaps the one before it.`)
    if (start > next) throw bad(`${start - next} bytes before tensor "${name}" belong to no tensor.`)
    next = end
  }
  if (fileSize !== undefined && next !== fileSize) {
    throw bad(`The header describes ${next} bytes, but the file has ${fileSize}.`)
  }
  return new Map(entries.map((entry) => [entry.name, entry]))
}

function tensorEntry(name: string, value: unknown, dataStart: number): TensorEntry {
  const fields = jsonObject(value, `The header entry of tensor "${name}"`)
  const { dtype, shape, data_offsets: offsets } = fields
  if (typeof dtype !== 'string') throw bad(`Tensor "${name}" has no dtype.`)
  if (!isCounts(shape)) throw bad(`Tensor "${name}" has the shape ${show(shape)}.`)
  if (!isCounts(offsets) || offsets.length !== 2) throw bad(`Tensor "${name}" has the offsets ${show(offsets)}.`)

  const [from, to] = offsets as [number, number]
  const elementBytes = DTYPE_BYTES.get(dtype)
  // For a known dtype this also refuses reversed offsets and sizes past 2^53, since no product equals them.
  if (to < from || (elementBytes !== undefined && elementCount(shape) * elementBytes !== to - from)) {
    throw bad(`Tensor "${name}" (${dtype} ${show(shape)}) does not fit its data, bytes ${from} to ${to}.`)
  }
  return { name, dtype, shape, start: dataStart + from, end: dataStart + to }
}

function elementCount(shape: readonly number[]): number {
  return shape.reduce((product, size) => product * size, 1)
}

/** Whether `value` is a list of non-negative integers that a double holds exactly. */
function isCounts(value: unknown): value is number[] {
  return Array.isArray(value) && value.every((item) => Number.isSafeInteger(item) && item >= 0)
}
