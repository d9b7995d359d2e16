import { SkipstoneError } from '../../errors.js'
import { loraMatrix } from '../../formats/peft.js'
import { tensorDtype } from '../../formats/safetensors.js'
import { type TensorToWrite, writeSafetensors } from '../../formats/safetensors-writer.js'
import { parseTensorFile } from '../../formats/tensor-file.js'
import { normaliseTensorName } from '../../formats/tensor-names.js'
import { readAdapterFile } from '../../model/adapter.js'
import { ROUTER_FILE } from '../../sdk/routers.js'
import { directSource } from '../../sdk/sources.js'
import { decides } from '../../skip/tensor-names.js'
import type { CommandContext } from './context.js'

export interface ConvertOutcome {
  result: { out: string; tensors: string[]; bytes: number }
  file: Uint8Array
}

/** Routers, gates or an adapter as one safetensors file, with nothing else of the file that they came in; needs no GPU. */
export async function convertCommand(context: CommandContext, options: { out: string }): Promise<ConvertOutcome> {
  const { routers, lora } = context
  if ((routers === undefined) === (lora === undefined)) {
    throw new SkipstoneError('bad-option', 'Give what to convert: --routers FILE, or --lora DIR.')
  }
  const bytes = routers
    ? await directSource(routers).read(ROUTER_FILE)
    : await readAdapterFile(directSource(lora ?? []))
  const { entries, data } = await parseTensorFile(bytes)
  const tensors = new Map<string, TensorToWrite>()
  for (const entry of entries.values()) {
    const name = routers ? routerName(entry.name) : adapterName(entry.name)
    if (name === undefined) continue
    tensors.set(name, { dtype: tensorDtype(entry), shape: entry.shape, data: data(entry.name) })
  }
  if (tensors.size === 0) {
    throw new SkipstoneError(
      'missing-weights',
      `The file holds no ${routers ? 'routers or gates' : 'LoRA matrices'}; give another one.`,
    )
  }
  const file = writeSafetensors(tensors, { format: 'pt' })
  return { result: { out: options.out, tensors: [...tensors.keys()], bytes: file.byteLength }, file }
}

/** The official key. */
function routerName(name: string): string | undefined {
  const normalised = normaliseTensorName(name)
  return decides(normalised) ? normalised : undefined
}

/** The key that PEFT writes. */
function adapterName(name: string): string | undefined {
  const matrix = loraMatrix(name)
  return matrix && `base_model.model.${matrix.module}.lora_${matrix.side}.weight`
}
