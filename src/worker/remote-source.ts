import type { ByteRange, FileSource } from '../storage/source.js'
import type { Channel } from './channel.js'
import type { SourceArgs } from './protocol.js'

/** The files of a `FileSource` that lives at the other end. */
export class RemoteSource implements FileSource {
  constructor(
    private readonly channel: Channel,
    private readonly source: number,
    readonly description: string,
  ) {}

  has(name: string, signal?: AbortSignal): Promise<boolean> {
    return this.#ask({ source: this.source, read: 'has', name }, signal)
  }

  size(name: string, signal?: AbortSignal): Promise<number> {
    return this.#ask({ source: this.source, read: 'size', name }, signal)
  }

  read(name: string, range?: ByteRange, signal?: AbortSignal): Promise<Uint8Array> {
    return this.#ask({ source: this.source, read: 'bytes', name, range }, signal)
  }

  #ask<T>(args: SourceArgs, signal: AbortSignal | undefined): Promise<T> {
    return this.channel.call<T>('source', args, { signal })
  }
}

/** The sources of a page that its worker reads. */
export class LentSources {
  readonly #sources: FileSource[] = []

  /** The source's number. */
  lend(source: FileSource): number {
    return this.#sources.push(source) - 1
  }

  async answer(args: SourceArgs, signal: AbortSignal): Promise<unknown> {
    const source = this.#sources[args.source]!
    if (args.read === 'has') return source.has(args.name, signal)
    if (args.read === 'size') return source.size(args.name, signal)
    const bytes = await source.read(args.name, args.range, signal)
    // Only these bytes cross, not the whole buffer that a view may lie in.
    return bytes.byteLength === bytes.buffer.byteLength ? bytes : bytes.slice()
  }
}
