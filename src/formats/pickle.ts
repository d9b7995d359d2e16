import { SkipstoneError } from '../errors.js'

/** A class or function that a pickle names. Nothing is looked up or called: the reader decides what it stands for. */
export interface PickleGlobal {
  readonly global: string
}

/** What may come out of a pickle: data only. */
export type PickleValue =
  | null
  | boolean
  | number
  | string
  | PickleValue[]
  | Map<PickleValue, PickleValue>
  | PickleGlobal
  | { readonly opaque: unknown }

/** How a pickle's references to the world outside are answered; each throws where it does not know one. */
export interface PickleWorld {
  /** The result of calling `name` ("module name") with `args`. */
  call(name: string, args: readonly PickleValue[]): PickleValue
  /** The object that a persistent id stands for. */
  persistent(id: PickleValue): PickleValue
}

/**
 * Reads a pickle (protocol 2 to 5) as data: a stack machine with only the opcodes that hold plain values, and calls that
 * `world` answers. No Python is executed and no name is resolved. `bad-file` for malformed input, `unsupported` for an
 * opcode outside this list.
 */
export function readPickle(bytes: Uint8Array, world: PickleWorld): PickleValue {
  return new Machine(bytes, world).run()
}

/** Python's pickletools, by opcode. */
const OP = {
  MARK: 0x28,
  STOP: 0x2e,
  BININT: 0x4a,
  BININT1: 0x4b,
  BININT2: 0x4d,
  NONE: 0x4e,
  BINPERSID: 0x51,
  REDUCE: 0x52,
  BINUNICODE: 0x58,
  EMPTY_LIST: 0x5d,
  APPEND: 0x61,
  BUILD: 0x62,
  GLOBAL: 0x63,
  APPENDS: 0x65,
  BINGET: 0x68,
  LONG_BINGET: 0x6a,
  BINPUT: 0x71,
  LONG_BINPUT: 0x72,
  SETITEM: 0x73,
  TUPLE: 0x74,
  SETITEMS: 0x75,
  EMPTY_DICT: 0x7d,
  EMPTY_TUPLE: 0x29,
  BINFLOAT: 0x47,
  PROTO: 0x80,
  TUPLE1: 0x85,
  TUPLE2: 0x86,
  TUPLE3: 0x87,
  NEWTRUE: 0x88,
  NEWFALSE: 0x89,
  LONG1: 0x8a,
  SHORT_BINUNICODE: 0x8c,
  STACK_GLOBAL: 0x93,
  MEMOIZE: 0x94,
  FRAME: 0x95,
} as const

class Machine {
  readonly #data: DataView
  #at = 0
  #stack: PickleValue[] = []
  /** Stacks that a MARK has put aside. */
  readonly #marked: PickleValue[][] = []
  readonly #memo = new Map<number, PickleValue>()

  constructor(
    private readonly bytes: Uint8Array,
    private readonly world: PickleWorld,
  ) {
    this.#data = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  }

  run(): PickleValue {
    for (;;) {
      const opcode = this.#data.getUint8(this.#take(1))
      if (opcode === OP.STOP) return this.#pop()
      const value = this.#step(opcode)
      if (value !== undefined) this.#stack.push(value)
    }
  }

  /** The value that the opcode pushes; undefined where it only changes what is there. */
  #step(opcode: number): PickleValue | undefined {
    const data = this.#data
    switch (opcode) {
      case OP.PROTO:
        this.#take(1)
        return undefined
      case OP.FRAME:
        this.#take(8)
        return undefined
      case OP.NONE:
        return null
      case OP.NEWTRUE:
        return true
      case OP.NEWFALSE:
        return false
      case OP.BININT:
        return data.getInt32(this.#take(4), true)
      case OP.BININT1:
        return data.getUint8(this.#take(1))
      case OP.BININT2:
        return data.getUint16(this.#take(2), true)
      case OP.LONG1:
        return this.#long(data.getUint8(this.#take(1)))
      case OP.BINFLOAT:
        return data.getFloat64(this.#take(8), false)
      case OP.BINUNICODE:
        return this.#text(data.getUint32(this.#take(4), true))
      case OP.SHORT_BINUNICODE:
        return this.#text(data.getUint8(this.#take(1)))
      case OP.EMPTY_LIST:
      case OP.EMPTY_TUPLE:
        return []
      case OP.EMPTY_DICT:
        return new Map()
      case OP.MARK:
        this.#marked.push(this.#stack)
        this.#stack = []
        return undefined
      case OP.TUPLE:
        return this.#toMark()
      case OP.TUPLE1:
      case OP.TUPLE2:
      case OP.TUPLE3:
        return this.#popMany(opcode - OP.TUPLE1 + 1)
      case OP.APPEND:
        this.#append(this.#popMany(1))
        return undefined
      case OP.APPENDS:
        this.#append(this.#toMark())
        return undefined
      case OP.SETITEM:
        this.#setItems(this.#popMany(2))
        return undefined
      case OP.SETITEMS:
        this.#setItems(this.#toMark())
        return undefined
      case OP.BINPUT:
        this.#remember(data.getUint8(this.#take(1)))
        return undefined
      case OP.LONG_BINPUT:
        this.#remember(data.getUint32(this.#take(4), true))
        return undefined
      case OP.MEMOIZE:
        this.#remember(this.#memo.size)
        return undefined
      case OP.BINGET:
        return this.#recall(data.getUint8(this.#take(1)))
      case OP.LONG_BINGET:
        return this.#recall(data.getUint32(this.#take(4), true))
      case OP.GLOBAL:
        return { global: `${this.#line()} ${this.#line()}` }
      case OP.STACK_GLOBAL: {
        const [module, name] = this.#popMany(2)
        if (typeof module !== 'string' || typeof name !== 'string') throw malformed()
        return { global: `${module} ${name}` }
      }
      case OP.BINPERSID:
        return this.world.persistent(this.#pop())
      case OP.REDUCE: {
        const [callee, args] = this.#popMany(2)
        if (!isGlobal(callee) || !Array.isArray(args)) throw malformed()
        return this.world.call(callee.global, args)
      }
      case OP.BUILD:
        // Attributes of an object, such as the version notes of a state dict: no tensors.
        this.#pop()
        return undefined
      default:
        throw new SkipstoneError(
          'unsupported',
          `The pickle uses the operation 0x${opcode.toString(16)}, which plain tensors do not need; it is not read.`,
        )
    }
  }

  #take(count: number): number {
    const at = this.#at
    if (at + count > this.bytes.byteLength) throw malformed()
    this.#at += count
    return at
  }

  #text(length: number): string {
    const at = this.#take(length)
    return new TextDecoder().decode(this.bytes.subarray(at, at + length))
  }

  /** Up to the next line feed. */
  #line(): string {
    const end = this.bytes.indexOf(0x0a, this.#at)
    if (end < 0) throw malformed()
    const text = this.#text(end - this.#at)
    this.#at++
    return text
  }

  /** A little-endian two's complement integer; sizes and offsets fit into a double. */
  #long(length: number): number {
    const at = this.#take(length)
    let value = 0n
    for (let i = length - 1; i >= 0; i--) value = (value << 8n) | BigInt(this.#data.getUint8(at + i))
    return Number(BigInt.asIntN(8 * length, value))
  }

  #pop(): PickleValue {
    const value = this.#stack.pop()
    if (value === undefined) throw malformed()
    return value
  }

  #popMany(count: number): PickleValue[] {
    if (this.#stack.length < count) throw malformed()
    return this.#stack.splice(this.#stack.length - count)
  }

  #toMark(): PickleValue[] {
    const items = this.#stack
    const below = this.#marked.pop()
    if (!below) throw malformed()
    this.#stack = below
    return items
  }

  #append(items: readonly PickleValue[]): void {
    const list = this.#stack.at(-1)
    if (!Array.isArray(list)) throw malformed()
    for (const item of items) list.push(item)
  }

  #setItems(items: readonly PickleValue[]): void {
    const map = this.#stack.at(-1)
    if (!(map instanceof Map) || items.length % 2 !== 0) throw malformed()
    for (let i = 0; i < items.length; i += 2) map.set(items[i] as PickleValue, items[i + 1] as PickleValue)
  }

  #remember(key: number): void {
    const value = this.#stack.at(-1)
    if (value === undefined) throw malformed()
    this.#memo.set(key, value)
  }

  #recall(key: number): PickleValue {
    const value = this.#memo.get(key)
    if (value === undefined) throw malformed()
    return value
  }
}

export function isGlobal(value: PickleValue | undefined): value is PickleGlobal {
  return typeof value === 'object' && value !== null && 'global' in value
}

function malformed(): SkipstoneError {
  return new SkipstoneError('bad-file', 'The pickle is damaged or cut off; fetch the file again.')
}
