import { wgsl } from 'wgsl-preprocessor/wgsl-preprocessor.js'
import { SQUARES_PARTS } from './squares-sum.wgsl.js'

/** Invocations of a row of groups: more parameters than one dimension of a dispatch holds go on in the next. */
export const ADAMW_ROW = 64 * 32768

/**
 * One step of AdamW (Loshchilov & Hutter 2019), with gradients shortened to maxNorm where they are longer, and set to zero for the next step.
 *
 *   settings       f32: learningRate, weightDecay, beta1, beta2, eps, maxNorm, 1 − beta1^t, 1 − beta2^t
 *   squares        f32 [64], sums of squares of the gradient
 *   gradients      f32 [params.count], read and zeroed
 *   values, first, second  f32 [params.count]: parameters and their two moments, read and written
 *   rates          f32 [params.count], where rates are `own`: what the learning rate of each parameter is multiplied by, its decay's not
 *
 * Dispatch: (min(ceil(count / 64), 32768), ceil(count / (64 · 32768)), 1) groups of 64.
 */
export function adamWShader({ rates }: { rates: 'one' | 'own' }): string {
  const own = rates === 'own'
  return wgsl`
struct Settings { rate: f32, decay: f32, beta1: f32, beta2: f32, eps: f32, maxNorm: f32, correction1: f32, correction2: f32 }
struct Params { count: u32 }
@group(0) @binding(0) var<storage, read> settings: Settings;
@group(0) @binding(1) var<storage, read> squares: array<f32>;
@group(0) @binding(2) var<storage, read_write> gradients: array<f32>;
@group(0) @binding(3) var<storage, read_write> values: array<f32>;
@group(0) @binding(4) var<storage, read_write> first: array<f32>;
@group(0) @binding(5) var<storage, read_write> second: array<f32>;
@group(0) @binding(6) var<uniform> params: Params;
#if ${own}
@group(0) @binding(7) var<storage, read> rates: array<f32>;
#endif

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u) {
  let i = id.y * ${ADAMW_ROW}u + id.x;
  if (i >= params.count) { return; }
  var length = 0.0;
  for (var part = 0u; part < ${SQUARES_PARTS}u; part++) { length += squares[part]; }
  let gradient = gradients[i] * min(1.0, settings.maxNorm / (sqrt(length) + 1e-6));
  gradients[i] = 0.0;
  first[i] = settings.beta1 * first[i] + (1.0 - settings.beta1) * gradient;
  second[i] = settings.beta2 * second[i] + (1.0 - settings.beta2) * gradient * gradient;
  let step = first[i] / settings.correction1 / (sqrt(second[i] / settings.correction2) + settings.eps);
  let rate = settings.rate${own ? ' * rates[i]' : ''};
  values[i] = values[i] * (1.0 - settings.rate * settings.decay) - rate * step;
}
`
}
