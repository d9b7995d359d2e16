import { SkipstoneError } from '../errors.js'

/** Bytes `start` to `end` of a file, `end` exclusive. */
export interface ByteRange {
  readonly start: number
  readonly end: number
}

/** Bytes that came and bytes there are, of all files of a call. */
export interface FetchProgress {
  readonly phase: 'download' | 'verify'
  readonly loaded: number
  readonly total: number
}

export interface FetchOptions {
  readonly signal?: AbortSignal | undefined
  readonly onProgress?: ((progress: FetchProgress) => void) | undefined
}

/**
 * A folder of model files, wherever it lies. Names are relative to it. Every call may fail with `aborted`; `size` and `read`
 * fail with `not-found` where there is no such file, `bad-file` where a range exceeds it, `network` where a request failed.
 */
export interface FileSource {
  /** Where the files come from, for messages to people. */
  readonly description: string
  has(name: string, signal?: AbortSignal): Promise<boolean>
  /** In bytes. */
  size(name: string, signal?: AbortSignal): Promise<number>
  /**
   * The whole file, or a range of it. Sources may put it into the `target`, where that is long enough.
   */
  read(name: string, range?: ByteRange, signal?: AbortSignal, target?: Uint8Array): Promise<Uint8Array>
  /** Sources that keep what they fetch: brings these files here whole, before they are read piece by piece. */
  fetch?(names: readonly string[], options?: FetchOptions): Promise<void>
}

/** A JSON file, parsed. `bad-file` where it is not valid UTF-8 JSON, otherwise as `FileSource.read`. */
export async function readJson(source: FileSource, name: string, signal?: AbortSignal): Promise<unknown> {
  const bytes = await source.read(name, undefined, signal)
  try {
    return JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes))
  } catch (cause) {
    const isPage = /^\s*<(?:!doctype|html)/i.test(new TextDecoder().decode(bytes.subarray(0, 100)))
    throw new SkipstoneError(
      'bad-file',
      isPage
        ? `${name} in ${source.description} is a web page, not JSON; check the address, and whether the model needs a sign-in.`
        : `${name} in ${source.description} is not valid JSON; fetch it again.`,
      { cause },
    )
  }
}

/** The range to read of a file of `size` bytes: all of it where none is asked for; `bad-file` where it exceeds the file. */
export function resolveRange(source: FileSource, name: string, size: number, range: ByteRange | undefined): ByteRange {
  if (!range) return { start: 0, end: size }
  if (range.end > size) throw tooShort(source, name, range)
  return range
}

export function notFound(source: FileSource, name: string, cause?: unknown): SkipstoneError {
  return new SkipstoneError(
    'not-found',
    `There is no ${name} in ${source.description}; check that this is the model's folder.`,
    {
      cause,
    },
  )
}

export function tooShort(source: FileSource, name: string, range: ByteRange): SkipstoneError {
  return new SkipstoneError(
    'bad-file',
    `${name} in ${source.description} ends before byte ${range.end}, which was asked for; the file is cut off, fetch it again.`,
  )
}
