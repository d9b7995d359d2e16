import { parseSafetensors, type TensorFile } from './safetensors.js'
import { parseTorch } from './torch.js'
import { isZip } from './zip.js'

/** A whole file of tensors in memory, safetensors or PyTorch, told apart by its first bytes. Errors as of their parsers. */
export function parseTensorFile(bytes: Uint8Array): TensorFile {
  return isZip(bytes) ? parseTorch(bytes) : parseSafetensors(bytes)
}
