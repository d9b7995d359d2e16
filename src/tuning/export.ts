import { type TensorToWrite, writeSafetensors } from '../formats/safetensors-writer.js'
import type { ParameterTensor } from './parameters.js'
import type { TrainingSettings } from './settings.js'

/** Files of a folder, by name. */
export type TunedFiles = ReadonlyMap<string, Uint8Array<ArrayBuffer>>

/** Routers under SkipGPT's keys, in `routers.safetensors`; what they were trained for is in the file's metadata. */
export function routerFiles(
  tensors: readonly ParameterTensor[],
  { target, input }: Pick<TrainingSettings, 'target' | 'input'>,
  more: Readonly<Record<string, string>> = {},
): TunedFiles {
  const metadata = {
    skip_target: String(target),
    mlp_router_input: input === 'entry' ? 'layer_input' : 'post_attention',
    logit_order: 'execute,skip',
    ...more,
  }
  return new Map([['routers.safetensors', file(tensors, (name) => name, metadata)]])
}

/**
 * Gates of GateSkip and the threshold of each sublayer, in the file that a model's gates are read from, `routers.safetensors`; what they were trained
 * for is in its metadata.
 */
export function gateFiles(
  tensors: readonly ParameterTensor[],
  { target }: Pick<TrainingSettings, 'target'>,
  more: Readonly<Record<string, string>> = {},
): TunedFiles {
  return new Map([['routers.safetensors', file(tensors, (name) => name, { skip_target: String(target), ...more })]])
}

/** A LoRA as PEFT keeps it: `adapter_model.safetensors` and `adapter_config.json`. */
export function adapterFiles(
  tensors: readonly ParameterTensor[],
  { rank, alpha, targets }: Pick<TrainingSettings, 'rank' | 'alpha' | 'targets'>,
): TunedFiles {
  const config = {
    ...{ peft_type: 'LORA', task_type: 'CAUSAL_LM', base_model_name_or_path: null, r: rank, lora_alpha: alpha },
    ...{ lora_dropout: 0, bias: 'none', fan_in_fan_out: false, inference_mode: true },
    target_modules: targets.map((target) => target.split('.')[1]),
  }
  return new Map([
    ['adapter_model.safetensors', file(tensors, (name) => `base_model.model.${name}`, { format: 'pt' })],
    ['adapter_config.json', new TextEncoder().encode(`${JSON.stringify(config, null, 1)}\n`)],
  ])
}

function file(
  tensors: readonly ParameterTensor[],
  keyOf: (name: string) => string,
  metadata: Readonly<Record<string, string>>,
): Uint8Array<ArrayBuffer> {
  const entries = tensors.map(({ name, shape, data }): [string, TensorToWrite] => {
    const bytes = new Uint8Array(data.buffer, data.byteOffset, data.byteLength)
    return [keyOf(name), { dtype: 'F32', shape, data: bytes }]
  })
  return writeSafetensors(new Map(entries), metadata) as Uint8Array<ArrayBuffer>
}
