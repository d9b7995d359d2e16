import { chunksOf } from './chunks.js'
import { eps } from './norm.js'
import { loopBound } from './plan.js'
import { unroll, workgroupReduce } from './reduce.js'
import { readWeights, type WeightDtype, weightElement } from './weights.js'

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
  /** Of the weights, `[n, k4]` of four. */
  binding: number
  /** Rows that a slot works on, and which: an expression over `slot`. */
  count: number
  row: (i: number) => string
  /**
   * WGSL `fn inputVector(i: u32) -> vec4f`. `tile` where it is dear: the group then makes each vector once. With `norm`, RMSNorm (Zhang &
   * Sennrich 2019) is applied, x / sqrt(mean(x²) + eps) · g: the function is not given, the kernel has `x: array<vec4f>`, `vectors: array<vec4f>` with
   * g at `params.norm`, and `rowStart()`, the row's index in `x` in units of four values.
   */
  input: { code: string; tile: boolean } | { norm: { d: number; eps: number } }
}

/** The parts of a kernel that multiplies a matrix with a vector. Needs the plan bound read-only. */
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

export function matvec(o: MatvecOptions): Matvec {
  return o.form.lanes === 1 ? serial(o) : shared(o)
}

/** A row per invocation; the vector passes through workgroup memory in tiles of 2048 values. */
function serial({ form, k4, dtype, binding, count, row, input }: MatvecOptions): Matvec {
  const { workgroup } = form
  const tile4 = Math.min(TILE4, k4)
  const norm = 'norm' in input ? input.norm : undefined
  return {
    extensions: '',
    parameters: '',
    holds: 'true',
    declarations: `
@group(0) @binding(${binding}) var<storage, read> weights: array<${weightElement(dtype)}>;
${readWeights(dtype, k4)}
${loopBound}
var<workgroup> tile: array<vec4f, ${tile4}>;
${norm ? workgroupReduce(workgroup, ['sum']) : ''}
${'norm' in input ? 'fn inputVector(i: u32) -> vec4f { return x[rowStart() + i] * vectors[params.norm + i]; }' : input.code}`,
    body: `
${norm ? measure(norm, k4, workgroup) : ''}
${unroll(count, (i) => `  let base${i} = weightStart(${row(i)});\n  var acc${i} = vec4f();`)}
  for (var first = 0u; first < bound(${k4}u); first += ${tile4}u) {
    let size = min(${tile4}u, bound(${k4}u) - first);
    workgroupBarrier();
    for (var i = lane; i < size; i += ${workgroup}u) { tile[i] = inputVector(first + i)${norm ? ' * inverseRms' : ''}; }
    workgroupBarrier();
    for (var i = 0u; i < size; i++) {
      let v = tile[i];
${unroll(count, (i) => `      acc${i} = fma(weight(base${i}, first + i), v, acc${i});`)}
    }
  }
${unroll(count, (i) => `  let sum${i} = ${total(`acc${i}`)};`)}`,
  }
}

const total = (v: string) => `${v}.x + ${v}.y + ${v}.z + ${v}.w`

function measure({ d, eps: epsilon }: { d: number; eps: number }, k4: number, workgroup: number): string {
  return `
  var squares = 0.0;
  for (var i = lane; i < bound(${k4}u); i += ${workgroup}u) {
    let v = x[rowStart() + i];
    squares += dot(v, v);
  }
  let inverseRms = 1.0 / sqrt(workgroupSum(lane, squares) / ${d}.0 + ${eps(epsilon)});`
}

/**
 * Lanes stride over the chunks of a row. With a norm, each lane squares what it reads on the way, and the products are scaled at the end: no
 * pass over the vector goes before.
 */
function shared({ form, k4, dtype, binding, count, row, input }: MatvecOptions): Matvec {
  const { workgroup, lanes } = form
  const chunks = chunksOf(dtype, k4)
  const { vectors } = chunks
  const norm = 'norm' in input ? input.norm : undefined
  const tiled = 'tile' in input && input.tile
  const tile4 = tiled ? Math.min(TILE4, Math.ceil(k4 / vectors) * vectors) : k4
  const sums = count + (norm ? 1 : 0)
  const vector = (i: number) => {
    const at = `c * ${vectors}u + ${i}u`
    const read = tiled ? `tile[${at} - first]` : `inputVector(${at})`
    return chunks.count * vectors === k4 || tiled
      ? read
      : `select(vec4f(), inputVector(min(${at}, ${k4 - 1}u)), ${at} < ${k4}u)`
  }
  const xs = Array.from({ length: vectors }, (_, i) => `x${i}`)
  const loop = `
    for (var c = ${tiled ? `first / ${vectors}u + part` : 'part'}; c < ${tiled ? `min(first / ${vectors}u + ${tile4 / vectors}u, ${chunks.count}u)` : `${chunks.count}u`}; c += ${lanes}u) {
${unroll(vectors, (i) => (norm ? `      let v${i} = ${vector(i)};\n      squares = fma(v${i}, v${i}, squares);` : `      let x${i} = ${vector(i)};`))}
${norm ? unroll(vectors, (i) => `      let x${i} = v${i} * vectors[params.norm + min(c * ${vectors}u + ${i}u, ${k4 - 1}u)];`) : ''}
${unroll(count, (i) => `      acc${i} = chunk(base${i}, c, ${xs.join(', ')}, acc${i});`)}
    }`
  return {
    extensions: form.adds === 'subgroups' ? 'enable subgroups;' : '',
    parameters:
      form.adds === 'subgroups'
        ? ', @builtin(subgroup_size) subgroupSize: u32, @builtin(subgroup_invocation_id) subgroupLane: u32'
        : '',
    holds: 'part == 0u',
    declarations: `
@group(0) @binding(${binding}) var<storage, read> weights: array<${chunks.element}>;
${chunks.declarations}
${loopBound}
${tiled ? `var<workgroup> tile: array<vec4f, ${tile4}>;` : ''}
${unroll(sums, (i) => `var<workgroup> parts${i}: array<f32, ${workgroup}>;`)}
${'norm' in input ? 'fn inputVector(i: u32) -> vec4f { return x[rowStart() + i]; }' : input.code}`,
    body: `
  let part = lane % ${lanes}u;
${unroll(count, (i) => `  let base${i} = chunkStart(${row(i)});\n  var acc${i} = vec4f();`)}
${norm ? '  var squares = vec4f();' : ''}
${
  tiled
    ? `  for (var first = 0u; first < bound(${k4}u); first += ${tile4}u) {
    workgroupBarrier();
    for (var i = lane; i < ${tile4}u; i += ${workgroup}u) {
      if (first + i < ${k4}u) { tile[i] = inputVector(first + i); }
    }
    workgroupBarrier();
${loop}
  }`
    : loop
}
${addLanes(form, sums, (i) => total(i < count ? `acc${i}` : 'squares'))}
${unroll(count, (i) => `  let sum${i} = total${i}${norm ? ` / sqrt(total${count} / ${norm.d}.0 + ${eps(norm.eps)})` : ''};`)}`,
  }
}

/** Leaves sums over the lanes of a slot in `total0 .. total{sums - 1}`. */
function addLanes({ workgroup, lanes, adds }: MatvecForm, sums: number, value: (i: number) => string): string {
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
