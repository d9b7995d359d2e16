import { wgsl } from 'wgsl-preprocessor/wgsl-preprocessor.js'
import { skipTies } from './gate-scores.wgsl.js'
import { eps } from './snippets/norm.js'
import { loopBound } from './snippets/plan.js'
import { workgroupReduce } from './snippets/reduce.js'
import { sigmoid } from './snippets/sigmoid.js'

export interface GateBottleneckOptions {
  /** Units of the hidden layer, and words between rows of them. */
  units: number
  stride: number
  /** Of the norm of the hidden layer. */
  eps: number
  capacity: number
}

/**
 * One gate for both sublayers of a layer, of a hidden layer v (FlexiDepth, arXiv 2503.23798), for every row:
 * g = sigmoid(weight · tanh(norm ⊙ v / rms(v)) + bias), z = g − threshold. A tie does not run.
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

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) lane: u32) {
  if (group.x >= plan[0]) { return; }
  let row = group.x * ${o.stride}u;
  var squares = 0.0;
  for (var i = lane; i < bound(${o.units}u); i += 64u) { squares = fma(hidden[row + i], hidden[row + i], squares); }
  let scale = 1.0 / sqrt(workgroupSum(lane, squares) / ${o.units}.0 + ${eps(o.eps)});
  var sum = 0.0;
  for (var i = lane; i < bound(${o.units}u); i += 64u) {
    // tanh, in a form that is exact for arguments of any size on every device.
    let unit = 2.0 * sigmoid(2.0 * hidden[row + i] * scale * vectors[params.head + i]) - 1.0;
    sum = fma(unit, vectors[params.head + ${o.units}u + i], sum);
  }
  let g = sigmoid(workgroupSum(lane, sum) + params.bias);
  if (lane == 0u) {
    gates[group.x] = g;
    for (var sublayer = params.sublayer; sublayer < params.sublayer + 2u; sublayer++) {
      let margin = g - thresholds[sublayer];
      z[sublayer * ${o.capacity}u + group.x] = ${skipTies('margin')};
    }
  }
}
`
}
