import { SkipstoneError } from '../errors.js'
import { parseSafetensorsHeader, safetensorsHeaderLength, type TensorEntry } from '../formats/safetensors.js'
import { parseShardIndex } from '../formats/shard-index.js'
import { normaliseTensorName } from '../formats/tensor-names.js'
import type { Aliases } from '../storage/alias-source.js'
import { type FileSource, readJson } from '../storage/source.js'

/** The tensors of a model by normalised name, read piece by piece. */
export interface Checkpoint {
  readonly entries: ReadonlyMap<string, TensorEntry>
  /** The files that hold them. */
  readonly files: readonly string[]
  /** Bytes `start` to `end` of one tensor's data, counted from its own beginning; perhaps in `target`, as `FileSource.read`. */
  read(
    name: string,
    start: number,
    end: number,
    signal?: AbortSignal,
    target?: Uint8Array<ArrayBuffer>,
  ): Promise<Uint8Array<ArrayBuffer>>
}

export const SINGLE_FILE = 'model.safetensors'
/** The name that a model's GGUF file goes by, whatever it is called where it lies. */
export const GGUF_FILE = 'model.gguf'

/** The names in a folder of which the GGUF file `file` is the model, whatever else lies there. */
export function asOnlyGguf(file: string): Aliases {
  return { [GGUF_FILE]: file, [SINGLE_FILE]: null, [SHARD_INDEX]: null }
}

/** How a Git LFS pointer begins, as far as a header's length is read. */
const LFS_POINTER = 'version '

export const SHARD_INDEX = 'model.safetensors.index.json'

/**
 * Opens `model.safetensors`, or the shards that `model.safetensors.index.json` names: only headers are read.
 * @throws `not-found` where neither is there, `bad-file` for a malformed header.
 */
export async function openCheckpoint(source: FileSource, signal?: AbortSignal): Promise<Checkpoint> {
  if (await source.has(SINGLE_FILE, signal)) return join(source, [await openFile(source, SINGLE_FILE, signal)])
  if (await source.has(SHARD_INDEX, signal)) {
    const index = parseShardIndex(await readJson(source, SHARD_INDEX, signal))
    const names = [...new Set(index.values())].sort()
    return join(source, await Promise.all(names.map((name) => openFile(source, name, signal))))
  }
  throw new SkipstoneError(
    'not-found',
    `${source.description} has neither ${SINGLE_FILE} nor ${SHARD_INDEX}: give the address of a Hugging Face checkpoint in safetensors.`,
  )
}

interface OpenFile {
  readonly file: string
  readonly entries: ReadonlyMap<string, TensorEntry>
}

async function openFile(source: FileSource, file: string, signal?: AbortSignal): Promise<OpenFile> {
  const size = await source.size(file, signal)
  const head = await source.read(file, { start: 0, end: Math.min(8, size) }, signal)
  if (new TextDecoder().decode(head) === LFS_POINTER) {
    throw new SkipstoneError(
      'bad-file',
      `${file} in ${source.description} is a Git LFS pointer, not the weights: run "git lfs pull", or use the address under /resolve/.`,
    )
  }
  const length = safetensorsHeaderLength(head, size)
  const header = await source.read(file, { start: 8, end: 8 + length }, signal)
  return { file, entries: parseSafetensorsHeader(header, size) }
}

function join(source: FileSource, files: readonly OpenFile[]): Checkpoint {
  const entries = new Map<string, TensorEntry>()
  const places = new Map<string, string>()
  for (const { file, entries: found } of files) {
    for (const [name, entry] of found) {
      entries.set(normaliseTensorName(name), entry)
      places.set(normaliseTensorName(name), file)
    }
  }
  return {
    entries,
    files: files.map(({ file }) => file),
    async read(name, start, end, signal, target) {
      const entry = entries.get(name) as TensorEntry
      const range = { start: entry.start + start, end: entry.start + end }
      return (await source.read(places.get(name) as string, range, signal, target)) as Uint8Array<ArrayBuffer>
    },
  }
}
