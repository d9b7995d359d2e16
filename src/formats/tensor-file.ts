import { isZip } from './is-zip.js'
import { parseSafetensors, type TensorFile } from './safetensors.js'

/**
 * A whole file of tensors in memory, safetensors or PyTorch, told apart by its first bytes. Errors as of their parsers. Who has no PyTorch file loads no code
 * for them.
 */
export async function parseTensorFile(bytes: Uint8Array): Promise<TensorFile> {
  if (!isZip(bytes)) return parseSafetensors(bytes)
  const { parseTorch } = await import('./torch.js')
  return parseTorch(bytes)
}
