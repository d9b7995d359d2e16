import { SkipstoneError } from '../errors.js'
import { isGlobal, type PickleValue, readPickle } from './pickle.js'
import { type TensorEntry, type TensorFile, tensorFile } from './safetensors.js'
import { type ZipMember, zipMembers } from './zip.js'

// torch.save since 1.6: a ZIP archive NAME/data.pkl with a pickled dict, and one stored member NAME/data/KEY per storage.

/** Storage classes by the dtype that safetensors names. */
const STORAGES: Readonly<Record<string, readonly [dtype: string, bytes: number]>> = {
  'torch DoubleStorage': ['F64', 8],
  'torch FloatStorage': ['F32', 4],
  'torch HalfStorage': ['F16', 2],
  'torch BFloat16Storage': ['BF16', 2],
  'torch LongStorage': ['I64', 8],
  'torch IntStorage': ['I32', 4],
  'torch ShortStorage': ['I16', 2],
  'torch CharStorage': ['I8', 1],
  'torch ByteStorage': ['U8', 1],
  'torch BoolStorage': ['BOOL', 1],
}

interface Storage {
  readonly dtype: string
  readonly elementBytes: number
  readonly member: ZipMember
}

type Tensor = Omit<TensorEntry, 'name'>

/**
 * The tensors of a PyTorch file (`.pth`, `.pt`, `.bin`) in memory: a state dict, or one inside `state_dict` or `model`.
 * The pickle is read as data, nothing in it is executed. `bad-file` for a damaged archive or pickle; `unsupported` for
 * whatever is no plain tensor: other classes, strided views, big-endian data, the format before PyTorch 1.6.
 */
export function parseTorch(bytes: Uint8Array): TensorFile {
  const members = zipMembers(bytes)
  const pickle = [...members].find(([name]) => /^[^/]*\/?data\.pkl$/.test(name))
  if (!pickle) {
    throw new SkipstoneError('bad-file', 'The archive holds no data.pkl: it is not a file that torch.save wrote.')
  }
  const [pickleName, { start, end }] = pickle
  const folder = pickleName.slice(0, -'data.pkl'.length)
  const order = members.get(`${folder}byteorder`)
  if (order && new TextDecoder().decode(bytes.subarray(order.start, order.end)).trim() !== 'little') {
    throw new SkipstoneError('unsupported', 'The file was written on a big-endian machine; save it again on another.')
  }
  const root = readPickle(bytes.subarray(start, end), {
    call: (name, args) => {
      switch (name) {
        case 'collections OrderedDict':
          return new Map()
        case 'torch._utils _rebuild_tensor_v2':
          return { opaque: tensor(args) }
        case 'torch._utils _rebuild_parameter':
          return args[0] ?? null
        default:
          throw new SkipstoneError(
            'unsupported',
            `The file asks for "${name.replace(' ', '.')}", which is not part of plain tensors; it is not run. Save a state dict.`,
          )
      }
    },
    persistent: (id) => ({ opaque: storage(id, folder, members) }),
  })
  return tensorFile(bytes, entriesOf(root))
}

function entriesOf(root: PickleValue): Map<string, TensorEntry> {
  if (!(root instanceof Map)) throw new SkipstoneError('bad-file', 'The file holds no state dict; save one.')
  const nested = ['state_dict', 'model'].map((key) => root.get(key)).find((value) => value instanceof Map)
  const entries = new Map<string, TensorEntry>()
  for (const [name, value] of nested ?? root) {
    if (typeof name !== 'string') continue
    const found = opaque(value)
    if (found && 'start' in found) entries.set(name, { name, ...(found as Tensor) })
  }
  if (entries.size === 0) throw new SkipstoneError('bad-file', 'The file holds no tensors; save a state dict.')
  return entries
}

/** ('storage', class, key, location, elements). */
function storage(id: PickleValue, folder: string, members: ReadonlyMap<string, ZipMember>): Storage {
  const [kind, type, key, , elements] = Array.isArray(id) ? id : []
  const known = isGlobal(type) ? STORAGES[type.global] : undefined
  if (kind !== 'storage' || !isGlobal(type) || typeof key !== 'string') throw broken('a storage')
  if (!known) {
    throw new SkipstoneError('unsupported', `The file holds data of the type "${type.global}", which is not read.`)
  }
  const member = members.get(`${folder}data/${key}`)
  const [dtype, elementBytes] = known
  if (!member || !count(elements) || elements * elementBytes > member.end - member.start) throw broken(`storage ${key}`)
  return { dtype, elementBytes, member }
}

/** _rebuild_tensor_v2(storage, offset, size, stride, …): sizes in elements. */
function tensor(args: readonly PickleValue[]): Tensor {
  const [holder, offset, shape, stride] = args
  const found = opaque(holder)
  if (!found || !('member' in found) || !count(offset) || !counts(shape) || !counts(stride)) throw broken('a tensor')
  const { dtype, elementBytes, member } = found as Storage
  let elements = 1
  for (let i = shape.length - 1; i >= 0; i--) {
    if ((shape[i] as number) > 1 && stride[i] !== elements) {
      throw new SkipstoneError('unsupported', 'A tensor is a strided view; save it with .contiguous().')
    }
    elements *= shape[i] as number
  }
  const start = member.start + offset * elementBytes
  const end = start + elements * elementBytes
  if (shape.length !== stride.length || end > member.end) throw broken('a tensor')
  return { dtype, shape, start, end }
}

function opaque(value: PickleValue | undefined): object | undefined {
  const isOpaque = typeof value === 'object' && value !== null && 'opaque' in value
  return isOpaque ? (value.opaque as object) : undefined
}

function count(value: PickleValue | undefined): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0
}

function counts(value: PickleValue | undefined): value is number[] {
  return Array.isArray(value) && value.every(count)
}

function broken(what: string): SkipstoneError {
  return new SkipstoneError('bad-file', `The pickle describes ${what} that the file does not hold; fetch it again.`)
}
