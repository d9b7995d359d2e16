import type { WeightDtype } from '../../shaders/snippets/weights.js'
import type { TensorEntry } from '../formats/safetensors.js'
import type { Adapter } from './adapter.js'
import { ARCHITECTURES } from './architectures/index.js'
import type { Checkpoint } from './checkpoint.js'
import type { ModelConfig } from './config.js'
import { layerTensors, MATRICES, type MatrixName } from './layer-matrices.js'
import { isRepacked, REPACKED } from './repack.js'
import { plainDtype, storedType } from './stored-type.js'

/** How weights are to be held on the GPU: as they were stored, or converted while loading. `q4` keeps embedding and head in q8. */
export type DtypeOption = 'stored' | 'f32' | 'f16' | 'q8' | 'q4'

/** How each matrix of a model is held on the GPU. */
export interface MatrixDtypes {
  readonly layers: readonly Readonly<Record<MatrixName, WeightDtype>>[]
  readonly embedding: WeightDtype
  readonly head: WeightDtype
}

/** The dtype of embedding and head where layers have `dtype`: they suffer more from few bits. */
export function headDtypeOf(dtype: WeightDtype): WeightDtype {
  return dtype === 'q4' ? 'q8' : dtype
}

/** The dtype that stands for a model's: that of its largest matrices. */
export function mainDtype({ layers }: MatrixDtypes): WeightDtype {
  return layers[0]?.gateUp ?? 'f32'
}

/**
 * What `option` means for each matrix of this checkpoint. `stored` is what it is stored as, where kernels read that and all tensors of
 * the matrix (Q, K and V; gate and up) are stored alike; else f16. A LoRA is merged into floats or requantised: K types, which
 * nothing is quantised to here, become f16 where one changes them.
 */
export function resolveDtypes(
  option: DtypeOption,
  config: ModelConfig,
  checkpoint: Checkpoint,
  adapter?: Adapter,
): MatrixDtypes {
  const { embedding, head, layer } = ARCHITECTURES[config.architecture].tensors
  const form = (names: readonly string[]): WeightDtype => {
    const entries = names.flatMap((name) => checkpoint.entries.get(name) ?? [])
    return storedForm(
      entries,
      names.some((name) => adapter?.has(name)),
    )
  }
  const layers = Array.from({ length: config.layers }, (_, i) => {
    const tensors = layerTensors(config, layer(i, config))
    const of = (matrix: MatrixName) =>
      option === 'stored' ? form(tensors.filter((t) => t.matrix === matrix).map(({ name }) => name)) : option
    return Object.fromEntries(MATRICES.map((matrix) => [matrix, of(matrix)])) as Record<MatrixName, WeightDtype>
  })
  if (option !== 'stored') return { layers, embedding: headDtypeOf(option), head: headDtypeOf(option) }
  // A tied file may hold the one matrix under either name.
  if (config.tiedEmbeddings) {
    const tied = form([checkpoint.entries.has(embedding) ? embedding : head])
    return { layers, embedding: tied, head: tied }
  }
  return { layers, embedding: form([embedding]), head: form([head]) }
}

/** Tensors that are missing are another's matter. */
function storedForm(entries: readonly TensorEntry[], changed: boolean): WeightDtype {
  const [first, ...others] = entries.map(storedType)
  if (first === undefined) return 'f16'
  const plain = plainDtype(first)
  if (plain && others.every((type) => plainDtype(type))) return plain
  const alike = others.every((type) => type === first)
  const keeps = isRepacked(first) && (!changed || first === 'Q8_0' || first === 'Q4_0')
  return alike && keeps ? REPACKED[first] : 'f16'
}
