import { wgsl } from 'wgsl-preprocessor/wgsl-preprocessor.js'
import { skipTies } from './gate-scores.wgsl.js'
import { eps } from './snippets/norm.js'
import { loopBound, type Positions, positionOf } from './snippets/plan.js'
import { workgroupReduce } from './snippets/reduce.js'
import { sigmoid } from './snippets/sigmoid.js'

export interface GateBottleneckOptions {
  /** Units of the hidden layer, and words between rows of them. */
  units: number
  stride: number
  /** Of the norm of the hidden layer. */
  eps: number
  capacity: number
  activation: 'tanh' | 'silu'
  /** Whether a gate at the threshold runs. */
  tieRuns: boolean
  /** Tokens at the beginning of a sequence whose gates are 1. */
  initials: number
  positions: Positions
}

/** Of `v`, in forms that are exact for arguments of any size on every device. */
const ACTIVATIONS = { tanh: '2.0 * sigmoid(2.0 * v) - 1.0', silu: 'v * sigmoid(v)' }

/**
 * One gate for both sublayers of a layer, of a hidden layer v (FlexiDepth, arXiv 2503.23798, with tanh; D-LLM, Jiang et al. 2024, with SiLU), for every
 * row: g = sigmoid(weight · activation(norm ⊙ v / rms(v)) + bias), z = g − threshold.
 *
 *   plan        u32, read
 *   hidden      f32 [capacity, stride], read   v
 *   vectors     f32, at params.head: [units] norm, [units] weight
 *   thresholds  f32 [2L]
 *   gates       f32 [capacity], written   g
 *   z           f32 [2L, capacity], written at params.sublayer and at the one behind it
 *
 * Dispatch: (rows, 1, 1) groups of 64.
 */
export function gateBottleneckShader(o: GateBottleneckOptions): string {
  return wgsl`
struct Params { sublayer: u32, head: u32, bias: f32 }
@group(0) @binding(0) var<storage, read> plan: array<u32>;
@group(0) @binding(1) var<storage, read> hidden: array<f32>;
@group(0) @binding(2) var<storage, read> vectors: array<f32>;
@group(0) @binding(3) var<storage, read> thresholds: array<f32>;
@group(0) @binding(4) var<storage, read_write> gates: array<f32>;
@group(0) @binding(5) var<storage, read_write> z: array<f32>;
@group(0) @binding(6) var<uniform> params: Params;
${loopBound}
${workgroupReduce(64, ['sum'])}
${sigmoid}
${positionOf(o.positions)}

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) lane: u32) {
  if (group.x >= plan[0]) { return; }
  let row = group.x * ${o.stride}u;
  var squares = 0.0;
  for (var i = lane; i < bound(${o.units}u); i += 64u) { squares = fma(hidden[row + i], hidden[row + i], squares); }
  let scale = 1.0 / sqrt(workgroupSum(lane, squares) / ${o.units}.0 + ${eps(o.eps)});
  var sum = 0.0;
  for (var i = lane; i < bound(${o.units}u); i += 64u) {
    let v = hidden[row + i] * scale * vectors[params.head + i];
    sum = fma(${ACTIVATIONS[o.activation]}, vectors[params.head + ${o.units}u + i], sum);
  }
  #if ${o.initials === 0}
  let g = sigmoid(workgroupSum(lane, sum) + params.bias);
  #else
  let g = select(sigmoid(workgroupSum(lane, sum) + params.bias), 1.0, positionOf(group.x) < ${o.initials}u);
  #endif
  if (lane == 0u) {
    gates[group.x] = g;
    for (var sublayer = params.sublayer; sublayer < params.sublayer + 2u; sublayer++) {
      let margin = g - thresholds[sublayer];
      z[sublayer * ${o.capacity}u + group.x] = ${o.tieRuns ? 'margin' : skipTies('margin')};
    }
  }
}
`
}
