import { wgsl } from 'wgsl-preprocessor/wgsl-preprocessor.js'

export interface AdjustLogitsOptions {
  /** Add a number per token. */
  bias: boolean
  /** Subtract for tokens that were generated before. */
  penalties: boolean
  /** Allow only some tokens. */
  mask: boolean
}

/** The logit of a token that is not allowed: finite, as WGSL need not know infinities, and below what any model gives. */
export const REFUSED = -3.0e38

/**
 * Logits as the sampler shall see them:
 *
 *   out[i] = allowed[i] ? logits[i] + bias[i] − frequency · counts[i] − presence · (counts[i] > 0) : REFUSED
 *
 * The logits of the model stay as they are for those who want to read them. With `penalties`, the token that the step before
 * sampled is counted here: no dispatch more, and each count has one invocation that reads and writes it.
 *
 *   plan     u32   rows of the step; after a stop token there are none, and nothing is done
 *   logits   f32 [vocab]
 *   out      f32 [vocab], written
 *   amounts  presence, frequency, vocab
 *   bias     f32 [vocab]
 *   ids      u32   ids[0] = the token that was sampled last
 *   counts   u32 [vocab]   how often each was generated, read and written
 *   allowed  u32 [ceil(vocab / 32)]   bit set
 *
 * Dispatch: ceil(vocab / 256) groups of 256.
 */
export function adjustLogitsShader(o: AdjustLogitsOptions): string {
  return wgsl`
struct Amounts { presence: f32, frequency: f32, vocab: u32, unused: u32 }
@group(0) @binding(0) var<storage, read> plan: array<u32>;
@group(0) @binding(1) var<storage, read> logits: array<f32>;
@group(0) @binding(2) var<storage, read_write> out: array<f32>;
@group(0) @binding(3) var<uniform> amounts: Amounts;
#if ${o.bias}
@group(0) @binding(4) var<storage, read> bias: array<f32>;
#endif
#if ${o.penalties}
@group(0) @binding(5) var<storage, read> ids: array<u32>;
@group(0) @binding(6) var<storage, read_write> counts: array<u32>;
#endif
#if ${o.mask}
@group(0) @binding(7) var<storage, read> allowed: array<u32>;
#endif

@compute @workgroup_size(256)
fn main(@builtin(global_invocation_id) id: vec3u) {
  let i = id.x;
  if (plan[0] == 0u || i >= amounts.vocab) { return; }
  var logit = logits[i];
  #if ${o.bias}
  logit += bias[i];
  #endif
  #if ${o.penalties}
  var count = counts[i];
  if (ids[0] == i) {
    count += 1u;
    counts[i] = count;
  }
  logit -= amounts.frequency * f32(count) + select(0.0, amounts.presence, count > 0u);
  #endif
  #if ${o.mask}
  if (((allowed[i / 32u] >> (i % 32u)) & 1u) == 0u) { logit = ${REFUSED.toExponential(1).replace('+', '')}; }
  #endif
  out[i] = logit;
}
`
}
