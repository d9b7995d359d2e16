import { wgsl } from 'wgsl-preprocessor/wgsl-preprocessor.js'
import { NO_TARGET } from './cross-entropy-slice.wgsl.js'
import { loopBound, planRows } from './snippets/plan.js'
import { workgroupReduce } from './snippets/reduce.js'
import { stepLosses, stepSettings } from './snippets/step-settings.js'

export interface StepLossesOptions {
  sublayers: number
  capacity: number
  /** What the coefficient is of: how far the rate is from the one that is wanted, or the mean square of gates of so many channels. */
  penalty: 'rate' | { readonly squaresOf: number }
}

/**
 * What the forward pass of a training step came to: the mean cross-entropy of rows with a target, the share of gates that execute, and
 * loss = crossEntropy + coefficient · |executeRate − rate|, with that penalty's gradient in each gate; or
 * loss = crossEntropy + coefficient · mean(g²), whose gradient is not one of decisions: `dGate` is 0.
 *
 *   plan      u32, read
 *   settings  see snippets/step-settings.ts
 *   targets   u32 [capacity]; NO_TARGET where a row has none
 *   sums      f32 [capacity] of four, see cross-entropy-slice
 *   gates     f32 [sublayers, capacity]
 *   losses    see snippets/step-settings.ts, written
 *   squares   f32 [sublayers, capacity], sums over the channels of a gate; for that penalty only
 *
 * Dispatch: (1, 1, 1) groups of 256.
 */
export function stepLossesShader({ sublayers, capacity, penalty }: StepLossesOptions): string {
  const ofSquares = penalty !== 'rate'
  return wgsl`
${stepSettings}
${stepLosses}
@group(0) @binding(0) var<storage, read> plan: array<u32>;
@group(0) @binding(1) var<storage, read> settings: StepSettings;
@group(0) @binding(2) var<storage, read> targets: array<u32>;
@group(0) @binding(3) var<storage, read> sums: array<vec4f>;
@group(0) @binding(4) var<storage, read> gates: array<f32>;
@group(0) @binding(5) var<storage, read_write> losses: StepLosses;
#if ${ofSquares}
@group(0) @binding(6) var<storage, read> squares: array<f32>;
#endif
${planRows('all')}
${loopBound}
${workgroupReduce(256, ['sum'])}

@compute @workgroup_size(256)
fn main(@builtin(local_invocation_index) lane: u32) {
  let rows = rowCount();
  var own = 0.0;
  var ran = 0.0;
  #if ${ofSquares}
  var squared = 0.0;
  #endif
  for (var row = lane; row < rows; row += 256u) {
    if (targets[row] != ${NO_TARGET}u) { own += sums[row].x + log(sums[row].y) - sums[row].z; }
    for (var s = 0u; s < bound(${sublayers}u); s++) {
      ran += gates[s * ${capacity}u + row];
      #if ${ofSquares}
      squared += squares[s * ${capacity}u + row];
      #endif
    }
  }
  let entropy = workgroupSum(lane, own) * settings.targetScale / settings.share;
  workgroupBarrier();
  let visits = f32(rows) * ${sublayers}.0;
  let rate = workgroupSum(lane, ran) / visits;
  #if ${ofSquares}
  workgroupBarrier();
  let square = workgroupSum(lane, squared) / (visits * ${ofSquares ? penalty.squaresOf : 1}.0);
  if (lane == 0u) { losses = StepLosses(entropy, rate, entropy + settings.coefficient * square, 0.0); }
  #else
  if (lane == 0u) {
    let distance = rate - settings.executeRate;
    losses = StepLosses(
      entropy, rate, entropy + settings.coefficient * abs(distance),
      settings.share * settings.coefficient * sign(distance) / visits,
    );
  }
  #endif
}
`
}
