import { SkipstoneError } from '../errors.js'
import { pairLora, parseAdapterConfig } from '../formats/peft.js'
import { readF32 } from '../formats/safetensors.js'
import { parseTensorFile } from '../formats/tensor-file.js'
import { type FileSource, readJson } from '../storage/source.js'

/** One weight's low-rank update, `W + scale · B A` (Hu et al. 2021). */
export interface LoraUpdate {
  readonly rank: number
  readonly scale: number
  /** [rank, k] */
  readonly a: Float32Array<ArrayBuffer>
  /** [n, rank] */
  readonly b: Float32Array<ArrayBuffer>
  readonly k: number
  readonly n: number
}

/** Updates by the normalised name of the weight they change. */
export type Adapter = ReadonlyMap<string, LoraUpdate>

/** Reads a PEFT folder: `adapter_config.json`, and `adapter_model.safetensors` or `.bin`. */
export async function readAdapter(source: FileSource, signal?: AbortSignal): Promise<Adapter> {
  const config = parseAdapterConfig(await readJson(source, 'adapter_config.json', signal))
  const file = await parseTensorFile(await readAdapterFile(source, signal))
  const tensor = (name: string) => {
    const entry = file.entries.get(name)
    if (!entry) throw new SkipstoneError('bad-file', `The adapter file lacks ${name}.`)
    if (entry.shape.length !== 2) throw new SkipstoneError('bad-file', `The adapter's ${name} is not a matrix.`)
    return { shape: entry.shape, data: readF32(entry, file.data(name)) as Float32Array<ArrayBuffer> }
  }
  const updates = new Map<string, LoraUpdate>()
  for (const [name, pair] of pairLora(file.entries.keys())) {
    const a = tensor(pair.a)
    const b = tensor(pair.b)
    const rank = a.shape[0] as number
    const module = name.replace(/\.weight$/, '')
    if (b.shape[1] !== rank || rank !== config.rankFor(module)) {
      throw new SkipstoneError(
        'bad-file',
        `The adapter's matrices for ${name} do not agree on the rank (${rank}, ${b.shape[1]}, and ${config.rankFor(module)} in its configuration).`,
      )
    }
    const scale = config.scaleFor(module)
    updates.set(name, { rank, scale, a: a.data, b: b.data, k: a.shape[1] as number, n: b.shape[0] as number })
  }
  return updates
}

/** The bytes of an adapter's tensors: `adapter_model.safetensors`, or the `.bin` of older versions of PEFT. */
export async function readAdapterFile(source: FileSource, signal?: AbortSignal): Promise<Uint8Array> {
  const [preferred, older] = ['adapter_model.safetensors', 'adapter_model.bin'] as const
  const old = !(await source.has(preferred, signal)) && (await source.has(older, signal))
  return source.read(old ? older : preferred, undefined, signal)
}
