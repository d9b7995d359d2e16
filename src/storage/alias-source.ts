import { type ByteRange, type FetchOptions, type FileSource, notFound } from './source.js'

/** Files by the names that they are asked for: where each lies, or null for one that is not to be found. */
export type Aliases = Readonly<Record<string, string | null>>

/** A source in which some files go by other names: `{ 'routers.safetensors': 'mine.safetensors' }`. */
export class AliasSource implements FileSource {
  readonly description: string

  constructor(
    private readonly inner: FileSource,
    private readonly aliases: Aliases,
  ) {
    this.description = inner.description
  }

  async has(name: string, signal?: AbortSignal): Promise<boolean> {
    if (this.aliases[name] === null) return false
    return this.inner.has(this.#resolve(name), signal)
  }

  async size(name: string, signal?: AbortSignal): Promise<number> {
    return this.inner.size(this.#resolve(name), signal)
  }

  async read(name: string, range?: ByteRange, signal?: AbortSignal, target?: Uint8Array): Promise<Uint8Array> {
    return this.inner.read(this.#resolve(name), range, signal, target)
  }

  async fetch(names: readonly string[], options?: FetchOptions): Promise<void> {
    await this.inner.fetch?.(
      names.map((name) => this.#resolve(name)),
      options,
    )
  }

  #resolve(name: string): string {
    const alias = this.aliases[name]
    if (alias === null) throw notFound(this, name)
    return alias ?? name
  }
}
