import { wgsl } from 'wgsl-preprocessor/wgsl-preprocessor.js'
import { NO_TARGET } from './cross-entropy-slice.wgsl.js'
import { loopBound, planRows } from './snippets/plan.js'
import { workgroupReduce } from './snippets/reduce.js'
import { stepLosses, stepSettings } from './snippets/step-settings.js'

/**
 * What the forward pass of a training step came to: the mean cross-entropy of rows with a target, the share of gates that execute, and
 * loss = crossEntropy + coefficient · |executeRate − rate|; and the penalty's gradient in each gate.
 *
 *   plan      u32, read
 *   settings  see snippets/step-settings.ts
 *   targets   u32 [capacity]; NO_TARGET where a row has none
 *   sums      f32 [capacity] of four, see cross-entropy-slice
 *   gates     f32 [sublayers, capacity]
 *   losses    see snippets/step-settings.ts, written
 *
 * Dispatch: (1, 1, 1) groups of 256.
 */
export function stepLossesShader({ sublayers, capacity }: { sublayers: number; capacity: number }): string {
  return wgsl`
${stepSettings}
${stepLosses}
@group(0) @binding(0) var<storage, read> plan: array<u32>;
@group(0) @binding(1) var<storage, read> settings: StepSettings;
@group(0) @binding(2) var<storage, read> targets: array<u32>;
@group(0) @binding(3) var<storage, read> sums: array<vec4f>;
@group(0) @binding(4) var<storage, read> gates: array<f32>;
@group(0) @binding(5) var<storage, read_write> losses: StepLosses;
${planRows('all')}
${loopBound}
${workgroupReduce(256, ['sum'])}

@compute @workgroup_size(256)
fn main(@builtin(local_invocation_index) lane: u32) {
  let rows = rowCount();
  var own = 0.0;
  var ran = 0.0;
  for (var row = lane; row < rows; row += 256u) {
    if (targets[row] != ${NO_TARGET}u) { own += sums[row].x + log(sums[row].y) - sums[row].z; }
    for (var s = 0u; s < bound(${sublayers}u); s++) { ran += gates[s * ${capacity}u + row]; }
  }
  let entropy = workgroupSum(lane, own) * settings.targetScale / settings.share;
  workgroupBarrier();
  let visits = f32(rows) * ${sublayers}.0;
  let rate = workgroupSum(lane, ran) / visits;
  if (lane == 0u) {
    let distance = rate - settings.executeRate;
    losses = StepLosses(
      entropy, rate, entropy + settings.coefficient * abs(distance),
      settings.share * settings.coefficient * sign(distance) / visits,
    );
  }
}
`
}
