import { SkipstoneError, throwIfAborted } from '../errors.js'
import { type ByteRange, type FileSource, notFound, resolveRange } from './source.js'

/**
 * Files that a person chose in a browser, by base name. From a folder picker (`webkitRelativePath`) the file nearest to the
 * chosen folder wins; two equally near files of one name are `bad-option` once that name is asked for. Where the chosen
 * folder is a model's (it holds `config.json`), folders below it are left out: adapters and routers of the same names.
 */
export class PickedFilesSource implements FileSource {
  readonly description = 'the chosen files'
  readonly #files = new Map<string, { file: File; path: string; rivals: string[] }>()

  constructor(files: Iterable<File>) {
    const all = [...files]
    const own = all.filter((file) => depth(pathOf(file)) <= 2)
    for (const file of own.some(({ name }) => name === 'config.json') ? own : all) {
      const path = pathOf(file)
      const known = this.#files.get(file.name)
      if (!known || depth(path) < depth(known.path)) this.#files.set(file.name, { file, path, rivals: [] })
      else if (depth(path) === depth(known.path)) known.rivals.push(path)
    }
    // One GGUF file is the model, whatever it is called; of several, one has to be chosen.
    const gguf = [...this.#files].filter(([name]) => name.endsWith('.gguf'))
    const [first, ...others] = gguf.map(([, entry]) => entry)
    if (first) this.#files.set('model.gguf', { ...first, rivals: others.map(({ path }) => path) })
  }

  async has(name: string, signal?: AbortSignal): Promise<boolean> {
    throwIfAborted(signal)
    return this.#files.has(name)
  }

  async size(name: string, signal?: AbortSignal): Promise<number> {
    throwIfAborted(signal)
    return this.#file(name).size
  }

  async read(name: string, range?: ByteRange, signal?: AbortSignal): Promise<Uint8Array> {
    throwIfAborted(signal)
    const file = this.#file(name)
    const { start, end } = resolveRange(this, name, file.size, range)
    let bytes: Uint8Array
    try {
      bytes = new Uint8Array(await file.slice(start, end).arrayBuffer())
    } catch (cause) {
      // The handle outlives the file: a browser refuses once it was moved or changed.
      throw new SkipstoneError(
        'not-found',
        `${name} changed or went away after it was chosen; choose the files again.`,
        { cause },
      )
    }
    throwIfAborted(signal)
    return bytes
  }

  #file(name: string): File {
    const found = this.#files.get(name)
    if (!found) throw notFound(this, name)
    if (found.rivals.length > 0) {
      throw new SkipstoneError(
        'bad-option',
        `The chosen files hold ${name} more than once (${[found.path, ...found.rivals].join(', ')}); choose one model's folder.`,
      )
    }
    return found.file
  }
}

function depth(path: string): number {
  return path.split('/').length
}

/** Node's File, and a file that was chosen by itself, has no path. */
function pathOf(file: File): string {
  return file.webkitRelativePath || file.name
}
