import { carries, discard, type HttpFolder, totalSize } from './http-folder.js'

/** What a server tells of a file. */
export interface RemoteFile {
  /** In bytes; undefined where only the end of the file will tell. */
  readonly size: number | undefined
  /** ETag, else Last-Modified, else nothing. */
  readonly validator: string | undefined
  /** Whether the server sends parts. */
  readonly ranges: boolean
}

/** Asks for one byte of a file. Undefined where there is no such file. @throws `network`, `aborted`. */
export async function probe(
  folder: HttpFolder,
  name: string,
  signal: AbortSignal | undefined,
): Promise<RemoteFile | undefined> {
  const response = await folder.request(name, { start: 0, end: 1 }, signal)
  await discard(response)
  if (!carries(name, response)) return undefined
  if (response.status === 200) return { size: plainLength(response), validator: validatorOf(response), ranges: false }
  const size = totalSize(response) ?? (await folder.sizeFromHead(name, signal))
  return { size, validator: validatorOf(response), ranges: true }
}

/** A weak ETag counts like a strong one: the size is compared too. */
export function validatorOf(response: Response): string | undefined {
  const etag = response.headers.get('etag')?.replace(/^W\//, '')
  return etag ?? response.headers.get('last-modified') ?? undefined
}

/** Content-Length of a body that was not compressed on its way. */
function plainLength(response: Response): number | undefined {
  const length = response.headers.get('content-length')
  return length === null || response.headers.has('content-encoding') ? undefined : Number(length)
}
