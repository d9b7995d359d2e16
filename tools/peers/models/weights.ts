import { SkipstoneError } from '../../../src/errors.js'
import { HF_TENSOR_NAMES } from '../../../src/model/architectures/hf-names.js'
import type { Checkpoint } from '../../../src/model/checkpoint.js'
import type { ModelConfig } from '../../../src/model/config.js'

/** A model whose weights every engine gets. */
export interface PeerModel {
  readonly config: ModelConfig
  readonly checkpoint: Checkpoint
}

/** The embedding's name in this checkpoint: where it is the head too, some files have it under that name only. */
export function embeddingName({ checkpoint }: PeerModel): string {
  const { embedding, head } = HF_TENSOR_NAMES
  return checkpoint.entries.has(embedding) ? embedding : head
}

/** One f32 tensor as the checkpoint has it, row-major [rows, k] for matrices. */
export async function f32Of({ checkpoint }: PeerModel, name: string): Promise<Float32Array<ArrayBuffer>> {
  const entry = checkpoint.entries.get(name)
  if (entry?.dtype !== 'F32') {
    throw new SkipstoneError('missing-tensor', `The peers need ${name} as F32: choose another shape.`)
  }
  const data = await checkpoint.read(name, 0, entry.end - entry.start)
  return new Float32Array(data.buffer, data.byteOffset, data.byteLength / 4)
}

/** [rows, columns] to [columns, rows]. */
export function transposed(values: Float32Array, rows: number, columns: number): Float32Array<ArrayBuffer> {
  const out = new Float32Array(values.length)
  for (let row = 0; row < rows; row++) {
    for (let column = 0; column < columns; column++) {
      out[column * rows + row] = values[row * columns + column] as number
    }
  }
  return out
}
