import { type GgufModel, openGguf } from '../model/gguf-file.js'
import { type ByteRange, type FetchOptions, type FileSource, resolveRange } from '../storage/source.js'
import { ggufTokenizer } from '../text/gguf-tokenizer.js'

/** Reads the headers of a folder's GGUF file; `files` has what they stand for too. @throws as `openGguf`. */
export async function openGgufFolder(
  folder: FileSource,
  signal?: AbortSignal,
): Promise<GgufModel & { readonly files: FileSource }> {
  const gguf = await openGguf(folder, signal)
  return { ...gguf, files: new GgufFolder(folder, gguf) }
}

/** A folder with a GGUF file, and with the Hugging Face files that its metadata stands for. */
class GgufFolder implements FileSource {
  readonly description: string
  readonly #made: ReadonlyMap<string, () => unknown>

  constructor(
    private readonly inner: FileSource,
    gguf: GgufModel,
  ) {
    this.description = inner.description
    const made = new Map<string, () => unknown>([['config.json', () => gguf.config]])
    if (gguf.metadata.has('tokenizer.ggml.model')) {
      made.set('tokenizer.json', () => ggufTokenizer(gguf.metadata).tokenizer)
      made.set('tokenizer_config.json', () => ggufTokenizer(gguf.metadata).config)
    }
    this.#made = made
  }

  async has(name: string, signal?: AbortSignal): Promise<boolean> {
    return this.#made.has(name) || this.inner.has(name, signal)
  }

  async size(name: string, signal?: AbortSignal): Promise<number> {
    return this.#bytes(name)?.byteLength ?? this.inner.size(name, signal)
  }

  async read(name: string, range?: ByteRange, signal?: AbortSignal, target?: Uint8Array): Promise<Uint8Array> {
    const bytes = this.#bytes(name)
    if (!bytes) return this.inner.read(name, range, signal, target)
    const { start, end } = resolveRange(this, name, bytes.byteLength, range)
    return bytes.slice(start, end)
  }

  async fetch(names: readonly string[], options?: FetchOptions): Promise<void> {
    await this.inner.fetch?.(names, options)
  }

  /** @throws `unsupported` for tokenizers that Skipstone does not know. */
  #bytes(name: string): Uint8Array | undefined {
    const make = this.#made.get(name)
    return make && new TextEncoder().encode(JSON.stringify(make()))
  }
}
