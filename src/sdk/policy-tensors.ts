import { readF32 } from '../formats/safetensors.js'
import { parseTensorFile } from '../formats/tensor-file.js'
import { normaliseTensorName } from '../formats/tensor-names.js'
import type { Checkpoint } from '../model/checkpoint.js'
import type { GateTensors } from '../skip/gate-tensors.js'
import type { RouterTensor } from '../skip/router-weights.js'
import type { FileSource } from '../storage/source.js'
import { ROUTER_FILE } from './routers.js'

/** The tensors of these normalised names: of the router file, where it has some, else of the checkpoint. */
export async function policyTensors(
  names: RegExp,
  checkpoint: Checkpoint,
  routers: FileSource | false,
): Promise<GateTensors> {
  const found = new Map<string, RouterTensor>()
  if (routers) {
    const file = await parseTensorFile(await routers.read(ROUTER_FILE))
    for (const [name, entry] of file.entries) {
      const normalised = normaliseTensorName(name)
      if (names.test(normalised)) found.set(normalised, { shape: entry.shape, data: readF32(entry, file.data(name)) })
    }
  }
  if (found.size > 0) return found
  for (const [name, entry] of checkpoint.entries) {
    if (!names.test(name)) continue
    const bytes = await checkpoint.read(name, 0, entry.end - entry.start)
    found.set(name, { shape: entry.shape, data: readF32(entry, bytes) })
  }
  return found
}
