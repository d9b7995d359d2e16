import type { ByteRange, FileSource } from './source.js'

/** A source in which some files go by other names: `{ 'routers.safetensors': 'mine.safetensors' }`. */
export class AliasSource implements FileSource {
  readonly description: string

  constructor(
    private readonly inner: FileSource,
    private readonly aliases: Readonly<Record<string, string>>,
  ) {
    this.description = inner.description
  }

  has(name: string, signal?: AbortSignal): Promise<boolean> {
    return this.inner.has(this.#resolve(name), signal)
  }

  size(name: string, signal?: AbortSignal): Promise<number> {
    return this.inner.size(this.#resolve(name), signal)
  }

  read(name: string, range?: ByteRange, signal?: AbortSignal): Promise<Uint8Array> {
    return this.inner.read(this.#resolve(name), range, signal)
  }

  #resolve(name: string): string {
    return this.aliases[name] ?? name
  }
}
