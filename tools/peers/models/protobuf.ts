/**
 * Protocol Buffers messages, as far as an ONNX file needs them. A message is the list of its encoded fields; large byte strings are referred
 * to, not copied, so that a model of half a gigabyte is in memory once.
 */
export type Message = readonly Uint8Array[]

const VARINT = 0
const LENGTH_DELIMITED = 2
const FIXED32 = 5

/** An integer or enumeration; negative ones take ten bytes, as int32 and int64 do. */
export function integer(field: number, value: number | bigint): Message {
  return [tag(field, VARINT), varint(BigInt.asUintN(64, BigInt(value)))]
}

export function float(field: number, value: number): Message {
  const bytes = new Uint8Array(4)
  new DataView(bytes.buffer).setFloat32(0, value, true)
  return [tag(field, FIXED32), bytes]
}

export function text(field: number, value: string): Message {
  return bytes(field, new TextEncoder().encode(value))
}

export function bytes(field: number, value: Uint8Array): Message {
  return [tag(field, LENGTH_DELIMITED), varint(BigInt(value.byteLength)), value]
}

/** Another message in a field. */
export function message(field: number, parts: readonly Message[]): Message {
  const content = parts.flat()
  const length = content.reduce((sum, part) => sum + part.byteLength, 0)
  return [tag(field, LENGTH_DELIMITED), varint(BigInt(length)), ...content]
}

function tag(field: number, wireType: number): Uint8Array {
  return varint(BigInt((field << 3) | wireType))
}

function varint(value: bigint): Uint8Array {
  const out: number[] = []
  let rest = value
  for (; rest > 127n; rest >>= 7n) out.push(Number(rest & 127n) | 128)
  out.push(Number(rest))
  return Uint8Array.from(out)
}
