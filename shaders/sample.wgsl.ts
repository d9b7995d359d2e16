import { wgsl } from 'wgsl-preprocessor/wgsl-preprocessor.js'
import { gumbel, pcgHash } from './snippets/random.js'
import { unroll, workgroupReduce } from './snippets/reduce.js'

/** Token id in a ring record that says: no token, a stop token was sampled in an earlier step. */
export const NO_TOKEN = 0xffffffff

/** Logits that an invocation loads at a time. */
const AHEAD = 8

export interface SampleOptions {
  /** Invocations: a power of two. */
  lanes: number
}

/**
 * Chooses the next token and prepares the next step: repetition penalty on tokens seen, temperature, top-k, top-p,
 * min-p, then a draw by the Gumbel-max trick; temperature 0 is the arg-max, and the lowest index wins ties. The rule
 * is written out in kernels/reference/sampling.ts. Thresholds are found by bisection over the logits' sortable bit
 * patterns, 32 passes each, so nothing is sorted. All sizes come from the settings, so that one
 * compiled shader serves every model, and no compiler can unroll the passes.
 *
 *   logits  f32 [vocab]
 *   seen    u32 [ceil(vocab / 32)]   bit set of tokens in the context, read and written
 *   stops   u32   stop ids, settings.stopCount of them
 *   plan    u32   start and cursor advance; rows becomes 1, or 0 after a stop token
 *   ids     u32   ids[0] = the sampled token, input of the next step
 *   ring    u32 [records, stride]   word 0 of the last row's record = the token, or NO_TOKEN
 *
 * Dispatch: one group of `lanes`.
 */
export function sampleShader({ lanes }: SampleOptions): string {
  return wgsl`
struct Settings { temperature: f32, topP: f32, minP: f32, penalty: f32, topK: u32, seed: u32, stopCount: u32, vocab: u32, stride: u32, highestBit: u32 }
@group(0) @binding(0) var<storage, read> logits: array<f32>;
@group(0) @binding(1) var<storage, read_write> seen: array<u32>;
@group(0) @binding(2) var<storage, read> stops: array<u32>;
@group(0) @binding(3) var<storage, read_write> plan: array<u32>;
@group(0) @binding(4) var<storage, read_write> ids: array<u32>;
@group(0) @binding(5) var<storage, read_write> ring: array<u32>;
@group(0) @binding(6) var<uniform> settings: Settings;
${pcgHash}
${gumbel}
${workgroupReduce(lanes, ['sum', 'max'])}
var<workgroup> liveRows: u32;
var<workgroup> lowest: atomic<u32>;

fn adjusted(i: u32) -> f32 {
  var logit = logits[i];
  if (settings.penalty != 1.0 && ((seen[i / 32u] >> (i % 32u)) & 1u) == 1u) {
    logit = select(logit * settings.penalty, logit / settings.penalty, logit > 0.0);
  }
  return select(logit, logit / settings.temperature, settings.temperature > 0.0);
}
// Unsigned integers in the order of the floats.
fn sortable(value: f32) -> u32 {
  let bits = bitcast<u32>(value);
  return select(bits | 0x80000000u, ~bits, bits >> 31u == 1u);
}
// How many tokens have at least this key, or their mass.
fn atLeast(lane: u32, key: u32, counts: bool, maximum: f32) -> f32 {
  var sum = 0.0;
  for (var i = lane; i < settings.vocab; i += ${lanes}u) {
    let value = adjusted(i);
    if (sortable(value) >= key) {
      if (counts) { sum += 1.0; } else { sum += exp(value - maximum); }
    }
  }
  return workgroupSum(lane, sum);
}

@compute @workgroup_size(${lanes})
fn main(@builtin(local_invocation_index) lane: u32) {
  if (lane == 0u) {
    liveRows = plan[0];
    atomicStore(&lowest, settings.vocab);
  }
  let rows = workgroupUniformLoad(&liveRows);
  if (rows == 0u) {
    if (lane == 0u) {
      ring[plan[2] * settings.stride] = ${NO_TOKEN}u;
      plan[2] += 1u;
    }
    return;
  }
  var threshold = 0u;
  var least = -3.0e38;
  if (settings.temperature > 0.0 && (settings.topK > 0u || settings.topP < 1.0 || settings.minP > 0.0)) {
    var highest = -3.0e38;
    for (var i = lane; i < settings.vocab; i += ${lanes}u) { highest = max(highest, adjusted(i)); }
    let maximum = workgroupMax(lane, highest);
    // Top-k, then top-p, in one loop: software adapters take long to compile a second one.
    for (var search = 0u; search < 2u; search++) {
      let counts = search == 0u;
      // A top-k of 0 becomes the largest number.
      if (select(settings.topP >= 1.0, settings.topK - 1u >= settings.vocab - 1u, counts)) { continue; }
      var wanted = select(settings.topP, f32(settings.topK), counts);
      var found = 0u;
      // Top-p wants a part of the mass that top-k left, which its first pass finds.
      var bit = select(0u, settings.highestBit, counts);
      loop {
        let reached = atLeast(lane, max(found | bit, threshold), counts, maximum);
        if (bit == 0u) {
          wanted *= reached;
          bit = settings.highestBit;
          continue;
        }
        if (reached >= wanted) { found |= bit; }
        bit >>= 1u;
        if (bit == 0u) { break; }
      }
      threshold = max(threshold, found);
    }
    // The logarithm of 1 may be a little above 0: the best token stays.
    if (settings.minP > 0.0) { least = min(maximum, maximum + log(settings.minP)); }
  }
  let counter = plan[1] + rows;
  // Minus infinity, for which WGSL has no literal.
  var value = bitcast<f32>(settings.highestBit | 0x7f800000u);
  var index = settings.vocab;
  // Several loads on their way at a time: a large vocabulary is a long walk for one group.
  let apart = ${lanes * AHEAD}u;
  if (settings.temperature == 0.0 && settings.penalty == 1.0) {
    // Of nothing but minus infinity, the first token.
    index = min(lane, settings.vocab - 1u);
    for (var first = lane; first < settings.vocab; first += apart) {
      ${unroll(AHEAD, (s) => `let i${s} = min(first + ${s * lanes}u, settings.vocab - 1u); let logit${s} = logits[i${s}];`)}
      ${unroll(AHEAD, (s) => `if (logit${s} > value) { value = logit${s}; index = i${s}; }`)}
    }
  } else {
    for (var first = lane; first < settings.vocab; first += apart) {
      var candidates: array<f32, ${AHEAD}>;
      for (var s = 0u; s < ${AHEAD}u; s++) { candidates[s] = adjusted(min(first + s * ${lanes}u, settings.vocab - 1u)); }
      for (var s = 0u; s < ${AHEAD}u; s++) {
        let i = first + s * ${lanes}u;
        var candidate = candidates[s];
        if (i >= settings.vocab) { continue; }
        if (settings.temperature > 0.0) {
          if (sortable(candidate) < threshold || candidate < least) { continue; }
          candidate += gumbel(pcgHash(settings.seed, counter, i));
        }
        if (index == settings.vocab || candidate > value) { value = candidate; index = i; }
      }
    }
  }
  let best = workgroupMax(lane, value);
  if (value == best) { atomicMin(&lowest, index); }
  workgroupBarrier();
  if (lane > 0u) { return; }
  let token = min(atomicLoad(&lowest), settings.vocab - 1u);
  ring[(plan[2] + rows - 1u) * settings.stride] = token;
  var stopped = false;
  for (var i = 0u; i < settings.stopCount; i++) { stopped = stopped || stops[i] == token; }
  seen[token / 32u] |= 1u << (token % 32u);
  ids[0] = token;
  plan[1] += rows;
  plan[2] += rows;
  plan[0] = select(1u, 0u, stopped);
}
`
}
