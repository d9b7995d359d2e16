import { SkipstoneError } from '../errors.js'

/** Where a stored member of an archive lies in the file; `end` exclusive. */
export interface ZipMember {
  readonly start: number
  readonly end: number
}

const END_RECORD = 0x06054b50
const END_RECORD_BYTES = 22
const DIRECTORY_ENTRY = 0x02014b50
const DIRECTORY_ENTRY_BYTES = 46
const LOCAL_HEADER = 0x04034b50
const LOCAL_HEADER_BYTES = 30
const ZIP64_LOCATOR = 0x07064b50
const ZIP64_LOCATOR_BYTES = 20
const ZIP64_RECORD = 0x06064b50
const ZIP64_RECORD_BYTES = 56
const ZIP64_EXTRA = 1
/** A field that does not fit says so with all bits set; its value then stands in the ZIP64 extra field. */
const TOO_LARGE = 0xffffffff

/**
 * The members of a ZIP archive (APPNOTE 6.3) in memory, by name. Only what PyTorch writes: members that are stored, not
 * compressed. `bad-file` for a damaged archive, `unsupported` for a compressed or encrypted member.
 */
export function zipMembers(bytes: Uint8Array): Map<string, ZipMember> {
  const data = view(bytes)
  const { count, offset } = directory(data)
  const members = new Map<string, ZipMember>()
  let at = offset
  for (let i = 0; i < count; i++) {
    need(data, at, DIRECTORY_ENTRY_BYTES, DIRECTORY_ENTRY)
    const nameLength = data.getUint16(at + 28, true)
    const extraLength = data.getUint16(at + 30, true)
    const next = at + DIRECTORY_ENTRY_BYTES + nameLength + extraLength + data.getUint16(at + 32, true)
    if (next > bytes.byteLength) throw damaged()
    const name = new TextDecoder().decode(bytes.subarray(at + 46, at + 46 + nameLength))
    if (data.getUint16(at + 10, true) !== 0 || (data.getUint16(at + 8, true) & 1) !== 0) {
      throw new SkipstoneError(
        'unsupported',
        `"${name}" is compressed or encrypted inside its archive; save it again with torch.save.`,
      )
    }
    const extra = at + DIRECTORY_ENTRY_BYTES + nameLength
    const [, size, header] = largeFields(data, extra, extra + extraLength, [
      data.getUint32(at + 24, true),
      data.getUint32(at + 20, true),
      data.getUint32(at + 42, true),
    ])
    if (members.has(name)) throw damaged()
    members.set(name, member(data, header, size))
    at = next
  }
  return members
}

/** Entries of the central directory, and where it begins. */
function directory(data: DataView): { count: number; offset: number } {
  // A comment of at most 65535 bytes may follow the record.
  const last = data.byteLength - END_RECORD_BYTES
  let at = last
  while (at >= 0 && at >= last - 0xffff && data.getUint32(at, true) !== END_RECORD) at--
  if (at < 0 || data.getUint32(at, true) !== END_RECORD) throw damaged()
  const locator = at - ZIP64_LOCATOR_BYTES
  if (locator < 0 || data.getUint32(locator, true) !== ZIP64_LOCATOR) {
    return { count: data.getUint16(at + 10, true), offset: data.getUint32(at + 16, true) }
  }
  const record = large(data, locator + 8)
  need(data, record, ZIP64_RECORD_BYTES, ZIP64_RECORD)
  return { count: large(data, record + 32), offset: large(data, record + 48) }
}

/** Uncompressed size, compressed size and header offset, each from the ZIP64 field where it did not fit. */
function largeFields(data: DataView, start: number, end: number, fields: readonly number[]): [number, number, number] {
  const values = [...fields] as [number, number, number]
  for (let at = start; at + 4 <= end; at += 4 + data.getUint16(at + 2, true)) {
    if (data.getUint16(at, true) !== ZIP64_EXTRA) continue
    const stop = at + 4 + data.getUint16(at + 2, true)
    let from = at + 4
    for (const [i, field] of fields.entries()) {
      if (field !== TOO_LARGE) continue
      if (from + 8 > Math.min(stop, end)) throw damaged()
      values[i] = large(data, from)
      from += 8
    }
  }
  return values
}

/** Behind its local header, whose name and extra field may differ in length from the directory's. */
function member(data: DataView, header: number, size: number): ZipMember {
  need(data, header, LOCAL_HEADER_BYTES, LOCAL_HEADER)
  const start = header + LOCAL_HEADER_BYTES + data.getUint16(header + 26, true) + data.getUint16(header + 28, true)
  if (start + size > data.byteLength) throw damaged()
  return { start, end: start + size }
}

function need(data: DataView, at: number, bytes: number, signature: number): void {
  if (at + bytes > data.byteLength || data.getUint32(at, true) !== signature) throw damaged()
}

function large(data: DataView, at: number): number {
  const value = data.getBigUint64(at, true)
  if (value > data.byteLength) throw damaged()
  return Number(value)
}

function view(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
}

function damaged(): SkipstoneError {
  return new SkipstoneError('bad-file', 'The archive is damaged or cut off; fetch it again.')
}
