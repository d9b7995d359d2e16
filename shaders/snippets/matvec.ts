import { chunksOf } from './chunks.js'
import { eps } from './norm.js'
import { loopBound, loopEnd } from './plan.js'
import { unroll } from './reduce.js'
import type { WeightDtype } from './weights.js'

/**
 * How a matrix-vector product is spread over invocations. `lanes` invocations share a row of the matrix; each of the
 * `workgroup / lanes` slots works on `rowsPerSlot` rows at once, so that a load of the vector serves several rows. On a GPU neighbouring
 * lanes read neighbouring chunks of a row; a CPU behind WebGPU is fastest with one lane, which needs no sum over lanes.
 */
export interface MatvecForm {
  workgroup: number
  lanes: number
  rowsPerSlot: number
  /**
   * How lanes add their parts: in workgroup memory, or by subgroups of whatever size, whose sums meet in workgroup memory. Subgroups
   * need `lanes === workgroup`.
   */
  adds: 'memory' | 'subgroups'
  /** Products with a normalised vector get it so: where invocations share no memory, each would normalise it for itself. */
  normed?: true
  /** Makes the product instead, of weights in blocks. */
  ofBlocks?: (options: BlockMatvecOptions) => Matvec
}

/** Matrix rows that one workgroup of this form produces. */
export function rowsPerGroup(form: MatvecForm): number {
  return (form.workgroup / form.lanes) * form.rowsPerSlot
}

const TILE4 = 512

export interface MatvecOptions {
  form: MatvecForm
  /** Vectors of four values in a row of the matrix. */
  k4: number
  dtype: WeightDtype
  /** Rows that a slot works on, and which: an expression over `slot`. */
  count: number
  row: (i: number) => string
  /**
   * WGSL `fn inputVector(i: u32) -> vec4f`. `tile` where it is dear: the group then makes each vector once. With `norm`, RMSNorm (Zhang &
   * Sennrich 2019) is applied, x / sqrt(mean(x²) + eps) · g, unless the form has it so already: the function is not given, the kernel has `x: array<vec4f>`,
   * `vectors: array<vec4f>` with g at `params.norm`, and `rowStart()`, the row's index in `x` in units of four values.
   */
  input: { code: string; tile: boolean } | { norm: { d: number; eps: number } }
}

export type BlockMatvecOptions = MatvecOptions & { dtype: 'q8' | 'q4' }

/** The parts of a kernel that multiplies a matrix with a vector. Needs the plan bound read-only; the weights, `[n, k4]` of four, are binding 2. */
export interface Matvec {
  /** Comes first in the module. */
  extensions: string
  declarations: string
  /** Parameters of `main`, behind others. */
  parameters: string
  /** Statements that leave the products in `sum0 .. sum{count - 1}`. Need `lane`, the invocation's index in its group, and `slot`. */
  body: string
  /** WGSL condition: this invocation has the products of its slot. */
  holds: string
}

/**
 * A product with all `rows` of a matrix, in which group g makes rowsPerGroup of them; needs `row`, the first one of the slot. Behind the last
 * row it is made again: nobody stores that.
 */
export function rowsProduct(o: Pick<MatvecOptions, 'form' | 'k4' | 'dtype' | 'input'> & { rows: number }): Matvec {
  const slots = o.form.workgroup / o.form.lanes
  return matvec({ ...o, count: o.form.rowsPerSlot, row: (i) => `min(row + ${i * slots}u, ${o.rows - 1}u)` })
}

const total = (v: string) => `${v}.x + ${v}.y + ${v}.z + ${v}.w`

/**
 * Lanes stride over the chunks of a row. With a norm, each lane squares what it reads on the way, and the products are scaled at the end: no
 * pass over the vector goes before.
 */
export function matvec(options: MatvecOptions): Matvec {
  const { form, k4, dtype, count, row, input } = options
  if (form.ofBlocks && (dtype === 'q8' || dtype === 'q4')) return form.ofBlocks({ ...options, dtype })
  const { workgroup, lanes } = form
  const chunks = chunksOf(dtype, k4)
  const { vectors } = chunks
  const norm = normOf(form, input)
  const padded4 = Math.ceil(k4 / vectors) * vectors
  const tiled = 'tile' in input && input.tile
  const tile4 = tiled ? Math.min(TILE4, padded4) : k4
  const oneTile = tiled && padded4 <= TILE4
  const sums = count + (norm ? 1 : 0)
  const vector = (i: number) => {
    const at = `c * ${vectors}u + ${i}u`
    const read = oneTile ? `tile[${at}]` : tiled ? `tile[${at} - first]` : `inputVector(${at})`
    return chunks.count * vectors === k4 || tiled
      ? read
      : `select(vec4f(), inputVector(min(${at}, ${k4 - 1}u)), ${at} < ${k4}u)`
  }
  const end = loopEnd(chunks.count, lanes > 1)
  const xs = Array.from({ length: vectors }, (_, i) => `x${i}`)
  const [from, to] =
    oneTile || !tiled ? ['part', end] : [`first / ${vectors}u + part`, `min((first + ${tile4}u) / ${vectors}u, ${end})`]
  const loop = `
    for (var c = ${from}; c < ${to}; c += ${lanes}u) {
${unroll(vectors, (i) => (norm ? `      let v${i} = ${vector(i)};\n      squares = fma(v${i}, v${i}, squares);` : `      let x${i} = ${vector(i)};`))}
${norm ? unroll(vectors, (i) => `      let x${i} = v${i} * vectors[params.norm + min(c * ${vectors}u + ${i}u, ${k4 - 1}u)];`) : ''}
${unroll(count, (i) => `      acc${i} = chunk(base${i}, c, ${xs.join(', ')}, acc${i});`)}
    }`
  const accumulators = `
${unroll(count, (i) => `  let base${i} = chunkStart(${row(i)});\n  var acc${i} = vec4f();`)}`
  const fill = (first: string) => `
    for (var i = lane; i < ${tile4}u; i += ${workgroup}u) {
      if (${first}i < ${k4}u) {
        tile[i] = inputVector(${first}i);
      }
    }
    workgroupBarrier();`
  const frame = frameOf(form, sums, input)
  return {
    ...frame,
    declarations: `${frame.declarations}
@group(0) @binding(2) var<storage, read> weights: array<${chunks.element}>;
${chunks.declarations}
${tiled ? `var<workgroup> tile: array<vec4f, ${tile4}>;` : ''}`,
    body: `
  let part = ${lanes === 1 ? '0u' : `lane % ${lanes}u`};
${norm ? '  var squares = vec4f();' : ''}
${oneTile ? `${fill('')}${accumulators}${loop}` : accumulators}
${oneTile ? '' : tiled ? `  for (var first = 0u; first < bound(${k4}u); first += ${tile4}u) {\n    workgroupBarrier();${fill('first + ')}${loop}\n  }` : loop}
${addLanes(form, sums, (i) => total(i < count ? `acc${i}` : 'squares'))}
${unroll(count, (i) => `  let sum${i} = total${i}${norm ? ` / sqrt(total${count} / ${norm.d}.0 + ${eps(norm.eps)})` : ''};`)}`,
  }
}

/** The norm that a product applies. */
export function normOf({ normed }: MatvecForm, input: MatvecOptions['input']): { d: number; eps: number } | undefined {
  return 'norm' in input && !normed ? input.norm : undefined
}

/** What every product has, its body aside: loop bounds, `inputVector`, and what adding the lanes needs. */
export function frameOf(form: MatvecForm, sums: number, input: MatvecOptions['input']): Omit<Matvec, 'body'> {
  const { workgroup, lanes, adds } = form
  const subgroups = adds === 'subgroups'
  return {
    extensions: subgroups ? 'enable subgroups;' : '',
    parameters: subgroups
      ? ', @builtin(subgroup_size) subgroupSize: u32, @builtin(subgroup_invocation_id) subgroupLane: u32'
      : '',
    holds: lanes === 1 ? 'true' : 'part == 0u',
    declarations: `
${loopBound}
${lanes === 1 ? '' : unroll(sums, (i) => `var<workgroup> parts${i}: array<f32, ${workgroup}>;`)}
${'norm' in input ? 'fn inputVector(i: u32) -> vec4f { return x[rowStart() + i]; }' : input.code}`,
  }
}

/** Leaves sums over the lanes of a slot in `total0 .. total{sums - 1}`. */
export function addLanes({ workgroup, lanes, adds }: MatvecForm, sums: number, value: (i: number) => string): string {
  if (lanes === 1) return unroll(sums, (i) => `  let total${i} = ${value(i)};`)
  if (adds === 'subgroups') {
    return `
${unroll(sums, (i) => `  let subgroupTotal${i} = subgroupAdd(${value(i)});`)}
  if (subgroupLane == 0u) {
${unroll(sums, (i) => `    parts${i}[lane / subgroupSize] = subgroupTotal${i};`)}
  }
  workgroupBarrier();
${unroll(sums, (i) => `  var total${i} = parts${i}[0];`)}
  for (var s = 1u; s < ${workgroup}u / subgroupSize; s++) {
${unroll(sums, (i) => `    total${i} += parts${i}[s];`)}
  }`
  }
  return `
${unroll(sums, (i) => `  parts${i}[lane] = ${value(i)};`)}
  workgroupBarrier();
  for (var width = ${lanes / 2}u; width > 0u; width >>= 1u) {
    if (part < width) {
${unroll(sums, (i) => `      parts${i}[lane] += parts${i}[lane + width];`)}
    }
    workgroupBarrier();
  }
${unroll(sums, (i) => `  let total${i} = parts${i}[lane - part];`)}`
}
