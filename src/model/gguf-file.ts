import { type GgufHeader, parseGguf } from '../formats/gguf.js'
import { dequantise } from '../formats/gguf-blocks.js'
import { ggufTensorName, ROPE_FACTORS } from '../formats/gguf-names.js'
import { type JsonObject, jsonObject, optionalInteger, required } from '../formats/json.js'
import type { TensorEntry } from '../formats/safetensors.js'
import type { FileSource } from '../storage/source.js'
import { type Checkpoint, GGUF_FILE } from './checkpoint.js'
import { ggufConfig } from './gguf-config.js'
import { ggufRowSource, hasInterleavedRows } from './gguf-rows.js'
import { storedType } from './stored-type.js'

/** Vocabularies make headers of some megabytes. */
const FIRST_READ = 1 << 20

/** A GGUF file: configuration, tokenizer metadata and tensors in one. */
export interface GgufModel {
  /** As a Hugging Face config.json. */
  readonly config: JsonObject
  readonly metadata: GgufHeader['metadata']
  readonly checkpoint: Checkpoint
}

/**
 * Opens `model.gguf`: only its header is read. Tensors carry Hugging Face's names and order of rows.
 * @throws `bad-file`, `unsupported` by name of what is, `not-found`, `network`, `aborted`.
 */
export async function openGguf(source: FileSource, signal?: AbortSignal): Promise<GgufModel> {
  const header = await readHeader(source, signal)
  const read = async (entry: TensorEntry, start: number, end: number, abort: AbortSignal | undefined) =>
    (await source.read(
      GGUF_FILE,
      { start: entry.start + start, end: entry.start + end },
      abort,
    )) as Uint8Array<ArrayBuffer>
  const factors = header.entries.get(ROPE_FACTORS)
  const config = ggufConfig(header, factors && (await readFactors(factors)))
  const headDim = required(optionalInteger(jsonObject(config, 'config'), 'head_dim', 'config', 1), 'head_dim', 'config')
  const architecture = String(header.metadata.get('general.architecture'))

  const entries = new Map<string, TensorEntry>()
  const places = new Map<string, { entry: TensorEntry; interleaved: boolean }>()
  for (const entry of header.entries.values()) {
    if (entry.name === ROPE_FACTORS) continue
    const name = ggufTensorName(entry.name)
    entries.set(name, { ...entry, name })
    places.set(name, { entry, interleaved: hasInterleavedRows(architecture, entry.name) })
  }
  return {
    config,
    metadata: header.metadata,
    checkpoint: {
      entries,
      files: [GGUF_FILE],
      async read(name, start, end, abort) {
        const { entry, interleaved } = places.get(name) as { entry: TensorEntry; interleaved: boolean }
        if (!interleaved) return read(entry, start, end, abort)
        // Rows change places inside their head: whole heads are read.
        const rowBytes = (entry.end - entry.start) / (entry.shape[0] as number)
        const headBytes = rowBytes * headDim
        const from = Math.floor(start / headBytes) * headBytes
        const to = Math.ceil(end / headBytes) * headBytes
        const ordered = reorderRows(await read(entry, from, to, abort), rowBytes, ggufRowSource(headDim))
        return ordered.slice(start - from, end - from)
      },
    },
  }

  async function readFactors(entry: TensorEntry): Promise<Float32Array> {
    const count = entry.shape.reduce((product, size) => product * size, 1)
    return dequantise(storedType(entry), await read(entry, 0, entry.end - entry.start, signal), count)
  }
}

async function readHeader(source: FileSource, signal: AbortSignal | undefined): Promise<GgufHeader> {
  const size = await source.size(GGUF_FILE, signal)
  for (let length = Math.min(FIRST_READ, size); ; length = Math.min(2 * length, size)) {
    const header = parseGguf(await source.read(GGUF_FILE, { start: 0, end: length }, signal), size)
    if (header) return header
  }
}

function reorderRows(
  bytes: Uint8Array<ArrayBuffer>,
  rowBytes: number,
  sourceRow: (row: number) => number,
): Uint8Array<ArrayBuffer> {
  const ordered = new Uint8Array(bytes.byteLength)
  for (let row = 0; row * rowBytes < bytes.byteLength; row++) {
    const from = sourceRow(row) * rowBytes
    ordered.set(bytes.subarray(from, from + rowBytes), row * rowBytes)
  }
  return ordered
}
