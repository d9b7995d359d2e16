import { SkipstoneError } from '../errors.js'
import { badGguf, GgufCursor, MoreBytesNeeded } from './gguf-cursor.js'
import { GGML_TYPES } from './gguf-types.js'
import { show } from './json.js'
import type { TensorEntry } from './safetensors.js'

// The format: magic, version, counts, metadata (typed keys and values), tensor infos, padding, tensor data.
// docs/gguf.md of github.com/ggml-org/ggml

/** Numeric arrays come as typed arrays. */
export type GgufArray =
  | Uint8Array
  | Int8Array
  | Uint16Array
  | Int16Array
  | Uint32Array
  | Int32Array
  | Float32Array
  | Float64Array
  | BigUint64Array
  | BigInt64Array
  | readonly boolean[]
  | readonly string[]
  | readonly GgufArray[]

/** A metadata value. 64-bit integers are numbers where a double holds them exactly, else bigints. */
export type GgufValue = number | bigint | boolean | string | GgufArray

/** Everything before the tensor data. */
export interface GgufHeader {
  readonly version: 2 | 3
  readonly metadata: ReadonlyMap<string, GgufValue>
  /**
   * By name, as in the file, in the order of their data. `dtype` is the GGML type, such as `Q4_K`; `shape` is row-major, so a
   * matrix is `[rows, k]` (the file has it the other way round).
   */
  readonly entries: ReadonlyMap<string, TensorEntry>
}

const MAGIC = 'GGUF'

/** ggml's limit. */
const MAX_DIMENSIONS = 4

/** The format allows arrays of arrays; no known file has them, and none needs more than this. */
const MAX_ARRAY_DEPTH = 4

const DEFAULT_ALIGNMENT = 32

/** The least bytes of a metadata pair (key length, type, value) and of a tensor info (name length, rank, type, offset). */
const MIN_PAIR_BYTES = 8 + 4 + 1
const MIN_TENSOR_BYTES = 8 + 4 + 4 + 8

const BOOL = 7
const STRING = 8
const ARRAY = 9

interface NumberType {
  readonly bytes: number
  /** The elements in `bytes`, which start at offset 0 of a buffer of their own. */
  readonly array: (buffer: ArrayBuffer) => Exclude<GgufArray, readonly unknown[]>
}

const NUMBERS: ReadonlyMap<number, NumberType> = new Map<number, NumberType>([
  [0, { bytes: 1, array: (buffer) => new Uint8Array(buffer) }],
  [1, { bytes: 1, array: (buffer) => new Int8Array(buffer) }],
  [2, { bytes: 2, array: (buffer) => new Uint16Array(buffer) }],
  [3, { bytes: 2, array: (buffer) => new Int16Array(buffer) }],
  [4, { bytes: 4, array: (buffer) => new Uint32Array(buffer) }],
  [5, { bytes: 4, array: (buffer) => new Int32Array(buffer) }],
  [6, { bytes: 4, array: (buffer) => new Float32Array(buffer) }],
  [10, { bytes: 8, array: (buffer) => new BigUint64Array(buffer) }],
  [11, { bytes: 8, array: (buffer) => new BigInt64Array(buffer) }],
  [12, { bytes: 8, array: (buffer) => new Float64Array(buffer) }],
])

/**
 * The header of a GGUF file of `fileSize` bytes, of which `prefix` are the first; undefined where the prefix is in order so far
 * and more bytes are needed (at most 100 MB). Versions 2 and 3, little-endian.
 *
 * `unsupported` for other versions, big-endian files and tensor types that are unknown here; `bad-file` for anything malformed:
 * lengths beyond the file, duplicates, tensors that overlap, are misaligned or exceed the file.
 */
export function parseGguf(prefix: Uint8Array, fileSize: number): GgufHeader | undefined {
  try {
    return readHeader(new GgufCursor(prefix.subarray(0, fileSize), fileSize), fileSize)
  } catch (error) {
    if (error instanceof MoreBytesNeeded) return undefined
    throw error
  }
}

function readHeader(cursor: GgufCursor, fileSize: number): GgufHeader {
  const magic = String.fromCharCode(...cursor.bytes(4))
  if (magic !== MAGIC) throw badGguf('The file does not start with "GGUF".')
  const version = readVersion(cursor)
  const tensorCount = cursor.count(MIN_TENSOR_BYTES, 'The number of tensors')
  const pairCount = cursor.count(MIN_PAIR_BYTES, 'The number of metadata entries')

  const metadata = new Map<string, GgufValue>()
  for (let i = 0; i < pairCount; i++) {
    const key = cursor.string('a metadata key')
    if (metadata.has(key)) throw badGguf(`The metadata has ${show(key)} twice.`)
    metadata.set(key, readValue(cursor, cursor.u32(), `metadata ${show(key)}`, 0))
  }

  const alignment = alignmentOf(metadata)
  const tensors = list(tensorCount, () => readTensor(cursor, alignment))
  const dataStart = Math.ceil(cursor.position / alignment) * alignment
  return { version, metadata, entries: placeTensors(tensors, dataStart, fileSize) }
}

/** What `read` gives `count` times. It grows as they are found, so that a wrong count costs no more than the bytes that are there. */
function list<T>(count: number, read: () => T): T[] {
  const elements: T[] = []
  for (let i = 0; i < count; i++) elements.push(read())
  return elements
}

function readVersion(cursor: GgufCursor): 2 | 3 {
  const version = cursor.u32()
  if (version === 2 || version === 3) return version
  if (version === 0) throw badGguf('The file gives its version as 0.')
  // Written the other way round, a small number has its bits at the top.
  const problem = (version & 0xffff) === 0 ? 'is big-endian' : `has version ${version}`
  throw new SkipstoneError(
    'unsupported',
    `The GGUF file ${problem}; Skipstone reads versions 2 and 3, little-endian. Convert the model again with a current llama.cpp.`,
  )
}

function readValue(cursor: GgufCursor, type: number, what: string, depth: number): GgufValue {
  if (type === STRING) return cursor.string(what)
  if (type === BOOL) return readBoolean(cursor, what)
  if (type === ARRAY) return readArray(cursor, what, depth)
  const number = numberType(type, what)
  const value = number.array(cursor.bytes(number.bytes).slice().buffer)[0] as number | bigint
  return Number.isSafeInteger(Number(value)) ? Number(value) : value
}

function readArray(cursor: GgufCursor, what: string, depth: number): GgufArray {
  if (depth === MAX_ARRAY_DEPTH) throw badGguf(`The array of ${what} is nested more than ${MAX_ARRAY_DEPTH} deep.`)
  const type = cursor.u32()
  const length = `The length of the array of ${what}`
  switch (type) {
    case STRING:
      return list(cursor.count(8, length), () => cursor.string(what))
    case BOOL:
      return list(cursor.count(1, length), () => readBoolean(cursor, what))
    case ARRAY:
      return list(cursor.count(12, length), () => readArray(cursor, what, depth + 1))
    default: {
      const number = numberType(type, what)
      return number.array(cursor.bytes(cursor.count(number.bytes, length) * number.bytes).slice().buffer)
    }
  }
}

function readBoolean(cursor: GgufCursor, what: string): boolean {
  const value = cursor.u8()
  if (value > 1) throw badGguf(`The truth value of ${what} is ${value}.`)
  return value === 1
}

function numberType(type: number, what: string): NumberType {
  const found = NUMBERS.get(type)
  if (!found) throw badGguf(`The value of ${what} has the type ${type}, which does not exist.`)
  return found
}

function alignmentOf(metadata: ReadonlyMap<string, GgufValue>): number {
  const alignment = metadata.get('general.alignment') ?? DEFAULT_ALIGNMENT
  if (typeof alignment !== 'number' || !Number.isSafeInteger(alignment) || alignment < 1 || !isPowerOf2(alignment)) {
    throw badGguf('"general.alignment" is not a power of two.')
  }
  return alignment
}

function isPowerOf2(value: number): boolean {
  return Number.isInteger(Math.log2(value)) && 2 ** Math.log2(value) === value
}

/** A tensor before it is known where the data starts: `start` and `end` are relative to that. */
function readTensor(cursor: GgufCursor, alignment: number): TensorEntry {
  const name = cursor.string('a tensor name')
  const what = `Tensor ${show(name)}`
  const rank = cursor.u32()
  if (rank > MAX_DIMENSIONS) throw badGguf(`${what} has ${rank} dimensions; the format allows ${MAX_DIMENSIONS}.`)
  const shape = Array.from({ length: rank }, () => safeNumber(cursor.u64(), `a dimension of ${what}`)).reverse()
  const id = cursor.u32()
  const start = safeNumber(cursor.u64(), `the offset of ${what}`)
  const type = GGML_TYPES.get(id)
  if (!type) {
    throw new SkipstoneError(
      'unsupported',
      `${what} has the GGML type ${id}, which Skipstone does not know. Use a file in Q8_0, Q4_K or another common type.`,
    )
  }

  const rowLength = shape.at(-1) ?? 1
  if (rowLength % type.values !== 0) {
    throw badGguf(`${what} has rows of ${rowLength} values, no multiple of the ${type.values} in a ${type.name} block.`)
  }
  let count = 1
  for (const size of shape) {
    count *= size
    if (!Number.isSafeInteger(count)) throw badGguf(`${what} has the shape ${show(shape)}, too large for any file.`)
  }
  if (start % alignment !== 0) throw badGguf(`${what} starts at ${start}, no multiple of ${alignment}.`)
  return { name, dtype: type.name, shape, start, end: start + (count / type.values) * type.bytes }
}

function safeNumber(value: bigint, what: string): number {
  if (value > Number.MAX_SAFE_INTEGER) throw badGguf(`The value of ${what} is ${value}, too large for any file.`)
  return Number(value)
}

/** The tensors at their places in the file, in the order of their data. */
function placeTensors(tensors: readonly TensorEntry[], dataStart: number, fileSize: number): Map<string, TensorEntry> {
  const placed = tensors
    .map((tensor) => ({ ...tensor, start: dataStart + tensor.start, end: dataStart + tensor.end }))
    .sort((a, b) => a.start - b.start || a.end - b.end)
  const entries = new Map<string, TensorEntry>()
  let previousEnd = dataStart
  for (const entry of placed) {
    const what = `tensor ${show(entry.name)}`
    if (entries.has(entry.name)) throw badGguf(`There are two of ${what}.`)
    if (entry.start < previousEnd) throw badGguf(`The data of ${what} overlaps what lies before it.`)
    // Past 2^53 sums are no longer exact, but far past any file's end all the same.
    if (entry.end > fileSize) {
      throw badGguf(`The data of ${what} ends at byte ${entry.end}, but the file has ${fileSize}.`)
    }
    entries.set(entry.name, entry)
    previousEnd = entry.end
  }
  return entries
}
