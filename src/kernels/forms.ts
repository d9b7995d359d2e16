import { MOST_CACHES } from '../../shaders/attention-decode.wgsl.js'
import type { GemmForm } from '../../shaders/snippets/gemm-options.js'
import type { MatvecForm } from '../../shaders/snippets/matvec.js'
import type { Splits } from '../../shaders/snippets/splits.js'
import type { WeightDtype } from '../../shaders/snippets/weights.js'
import type { Form } from '../gpu/forms.js'
import type { AttentionPrefillForm } from './attention-prefill.js'

/** A matrix of `rows` × `k`, of which a product takes rows from so many parts at once (gate and up: 2). */
export interface Matrix {
  rows: number
  k: number
  dtype: WeightDtype
  parts: 1 | 2
}

/** How decode attention cuts the context. */
export type InParts = Pick<Splits, 'tile' | 'least'>

export interface AttentionForm extends AttentionPrefillForm {
  /** In decode: a group for each head and part of the context, whose sums meet in the output product; or scores and values in turn, without barriers. */
  decode: InParts | 'in turn'
  /** In decode steps of several sequences, their caches that a dispatch binds: where a dispatch costs more than the choice between them. */
  cachesTogether: number
}

/** How kernels are laid out on a device. */
export interface KernelForms {
  /** A product with one vector. */
  matvec: (matrix: Matrix) => MatvecForm
  /** The QKV product where one group owns a head. */
  heads: MatvecForm
  /** The output product of attention. Where that comes in parts, each group merges them first: the more rows it has, the better. */
  output: (matrix: Matrix) => MatvecForm
  attention: AttentionForm
  /** Products with the rows of a prompt. Largest tiles first, then those for few rows. */
  gemms: readonly GemmForm[]
  /** The same for decode steps of several sequences. */
  batchGemms: readonly GemmForm[]
}

const TILES: readonly GemmForm[] = [
  { rows: 8, columns: 4, lanesX: 16, lanesY: 8, stagedK4: 4 },
  { rows: 4, columns: 2, lanesX: 16, lanesY: 8, stagedK4: 8 },
  { rows: 2, columns: 2, lanesX: 16, lanesY: 8, stagedK4: 8 },
]
/** Each pass over the weights serves eight rows. Up to four passes are faster than the smallest tiles. */
const alongK = (adds: MatvecForm['adds']): GemmForm => ({
  ...{ rows: 8, columns: 2, lanesX: 1, lanesY: 1, stagedK4: 0 },
  ...{ mostRows: 32, along: { lanes: 128, adds } },
})
const SERIAL_TILE: GemmForm = { rows: 8, columns: 4, lanesX: 8, lanesY: 1, stagedK4: 0 }
const SERIAL_ROWS: MatvecForm = { workgroup: 32, lanes: 1, rowsPerSlot: 2, adds: 'memory', normed: true }

/** Rows that an invocation takes of a large matrix: the fewer bytes a load brings, the more of them have to be on their way. */
const ROWS_OF_LARGE: Readonly<Partial<Record<WeightDtype, number>>> = { q8: 4, q4: 8 }
const LARGE = 2048

function rowsAtOnce({ rows, dtype, parts }: Matrix): number {
  return Math.max(1, ((rows >= LARGE && ROWS_OF_LARGE[dtype]) || 2) / parts)
}

/** Long rows take more lanes. */
function subgroupRows(matrix: Matrix): MatvecForm {
  const lanes = matrix.k > matrix.rows ? 128 : 64
  return { workgroup: lanes, lanes, rowsPerSlot: rowsAtOnce(matrix), adds: 'subgroups' }
}

function sharedRows(matrix: Matrix): MatvecForm {
  return { workgroup: 128, lanes: 64, rowsPerSlot: Math.min(4, rowsAtOnce(matrix)), adds: 'memory' }
}

/** Several rows in turn share what a group has merged. */
const mergedRows = (matrix: Matrix): MatvecForm => ({
  ...{ workgroup: 256, lanes: 64, adds: 'memory' },
  rowsPerSlot: matrix.dtype === 'q4' ? 4 : 2,
})

/** Forms for GPUs, which differ in how lanes add. */
function gpuForms(matvec: KernelForms['matvec'], adds: MatvecForm['adds']): KernelForms {
  const gemms = [...TILES, alongK(adds)]
  return {
    matvec,
    output: mergedRows,
    heads: { workgroup: 256, lanes: 16, rowsPerSlot: 1, adds: 'memory' },
    attention: { decode: { tile: 256, least: 512 }, cachesTogether: MOST_CACHES, unrolled: true },
    gemms,
    batchGemms: gemms,
  }
}

const SERIAL: KernelForms = {
  matvec: () => SERIAL_ROWS,
  heads: { ...SERIAL_ROWS, rowsPerSlot: 1 },
  output: () => SERIAL_ROWS,
  attention: { decode: 'in turn', cachesTogether: 1, unrolled: false },
  gemms: [SERIAL_TILE],
  batchGemms: [SERIAL_TILE, { ...SERIAL_TILE, rows: 2, columns: 8, mostRows: 4 }],
}

/** What a load costs SwiftShader, its vector units hide in other rows; of blocks it has more to do for each. */
function serialMoreRows({ dtype, parts }: Matrix): MatvecForm {
  const isFloat = dtype === 'f32' || dtype === 'f16' || dtype === 'bf16'
  return { ...SERIAL_ROWS, workgroup: 16, rowsPerSlot: (isFloat ? 8 : 4) / parts }
}

const SERIAL_FORM: Form<KernelForms> = {
  name: 'serial-rows',
  requires: [],
  suits: (gpu) => gpu.isSoftware,
  value: SERIAL,
}
const SERIAL_MORE_FORM: Form<KernelForms> = {
  name: 'serial-more-rows',
  requires: [],
  suits: ({ isSoftware, adapterName }) => isSoftware && /swiftshader/i.test(adapterName),
  value: { ...SERIAL, matvec: serialMoreRows, output: serialMoreRows },
}

/** Products with the rows of a prompt, which subgroups of so many lanes pass on. Larger tiles are little faster, and take far longer to compile. */
function passedRows(lanes: 4 | 8): Pick<KernelForms, 'gemms' | 'batchGemms'> {
  const tile: GemmForm = { rows: 2 * lanes, columns: 4, lanesX: lanes, lanesY: 1, stagedK4: 0, broadcasts: true }
  return { gemms: [tile], batchGemms: [tile, { ...tile, rows: 4, mostRows: 4 }] }
}
const PASSED_ROWS = { 4: passedRows(4), 8: passedRows(8) }

/** The same for devices whose subgroups have so many lanes: they pass on what all of them need. */
function passingRows(form: Form<KernelForms>, lanes: 4 | 8): Form<KernelForms> {
  return {
    ...form,
    name: `${form.name}-${lanes}`,
    requires: ['subgroups'],
    subgroupSize: lanes,
    value: { ...form.value, ...PASSED_ROWS[lanes], attention: { ...form.value.attention, passedBy: lanes } },
  }
}

/**
 * Best first. `serial-rows-8` and `serial-rows` were measured on lavapipe, in Dawn and in Firefox, which has no subgroups; `serial-more-rows-4` and `serial-more-rows` on
 * SwiftShader, the others on an H200 and an H100 (see BENCH.md). `serial-rows-4` is for CPUs with short vectors, and was measured nowhere.
 */
export const KERNEL_FORMS: readonly Form<KernelForms>[] = [
  passingRows(SERIAL_MORE_FORM, 4),
  SERIAL_MORE_FORM,
  passingRows(SERIAL_FORM, 8),
  passingRows(SERIAL_FORM, 4),
  SERIAL_FORM,
  {
    name: 'subgroup-rows',
    requires: ['subgroups'],
    suits: (gpu) => !gpu.isSoftware,
    value: gpuForms(subgroupRows, 'subgroups'),
  },
  { name: 'shared-rows', requires: [], suits: (gpu) => !gpu.isSoftware, value: gpuForms(sharedRows, 'memory') },
]
