import { SkipstoneError } from '../errors.js'
import type { RouterTensor } from './router-weights.js'

/** Tensors of a policy's own, by normalised name. */
export type GateTensors = ReadonlyMap<string, RouterTensor>

/**
 * The values of one tensor, finite and of exactly `shape`, of which the last dimension is the model's. Leading dimensions of 1 may be there or not.
 * @throws `wrong-model` for another last dimension, `bad-file` for what else is wrong. Both name the key.
 */
export function gateTensor(tensors: GateTensors, key: string, shape: readonly number[]): Float32Array {
  const tensor = tensors.get(key)
  if (!tensor) throw bad(key, 'is missing, though its neighbours are there')
  const core = (dimensions: readonly number[]) => dimensions.slice(dimensions.findIndex((size) => size !== 1))
  const [found, wanted] = [core(tensor.shape), core(shape)]
  const size = (dimensions: readonly number[]) => dimensions.reduce((product, n) => product * n, 1)
  if (size(tensor.shape) !== size(shape) || found.some((n, i) => n !== wanted[i])) {
    const text = `has the shape [${tensor.shape.join(', ')}] where [${shape.join(', ')}] is needed`
    if (tensor.shape.at(-1) === shape.at(-1)) throw bad(key, text)
    throw new SkipstoneError('wrong-model', `"${key}" ${text}; use the weights of this model.`)
  }
  const broken = tensor.data.findIndex((value) => !Number.isFinite(value))
  if (broken >= 0) throw bad(key, `has the value ${tensor.data[broken]} at index ${broken}`)
  return tensor.data
}

/** @throws `wrong-model` where a key is of a layer that the model does not have. `layer` finds it in the key. */
export function checkLayers(tensors: GateTensors, layer: RegExp, layers: number): void {
  for (const key of tensors.keys()) {
    const [, index] = layer.exec(key) ?? []
    if (index === undefined || Number(index) < layers) continue
    throw new SkipstoneError(
      'wrong-model',
      `"${key}" is for a layer that this model of ${layers} does not have; use the weights of this model.`,
    )
  }
}

/** @throws `missing-weights` where there is none. `what` names the tensors. */
export function checkPresent(tensors: GateTensors, policy: string, what: string): void {
  if (tensors.size > 0) return
  throw new SkipstoneError(
    'missing-weights',
    `The policy "${policy}" needs ${what}: load a model whose checkpoint has them, or a file of them with the option \`routers\` (--routers).`,
  )
}

function bad(key: string, problem: string): SkipstoneError {
  return new SkipstoneError('bad-file', `The tensor "${key}" ${problem}; fetch or export the file again.`)
}
