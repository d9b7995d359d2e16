import { wgsl } from 'wgsl-preprocessor/wgsl-preprocessor.js'
import { unroll } from './snippets/reduce.js'
import { readStored, type StoredOptions } from './snippets/stored.js'
import { BLOCK } from './snippets/weights.js'

export interface QuantiseOptions extends StoredOptions {
  to: 'q8' | 'q4'
}

/**
 * Turns a weight matrix as it was stored into blocks of 32 values with an f16 scale (layout: snippets/weights.ts), with a LoRA
 * adapter merged before. As in GGML's Q8_0 and Q4_0: q8 rounds to multiples of the largest magnitude / 127; q4 of the value
 * with the largest magnitude / −8, so that this one is met exactly.
 *
 *   source  u32   rows of k values: f32, two 16-bit values per word, or blocks (snippets/weights.ts)
 *   words   u32   rows of params.rowWords words, rows params.targetRow .. written
 *   loraA   f32 [rank, k]
 *   loraB   f32 [rows, rank]
 *
 * Dispatch: (ceil(words of scales / 64), min(rows, 65535), 1) groups of 64; an invocation makes two blocks, whose scales
 * share a word, and strides over rows.
 */
export function quantiseShader(o: QuantiseOptions): string {
  const perWord = o.to === 'q8' ? 4 : 8
  const bits = 32 / perWord
  return wgsl`
struct Params { rows: u32, k: u32, blocks: u32, targetRow: u32, rank: u32, scale: f32, rowStep: u32, rowWords: u32 }
@group(0) @binding(0) var<storage, read> source: array<u32>;
@group(0) @binding(1) var<storage, read_write> words: array<u32>;
@group(0) @binding(2) var<storage, read> loraA: array<f32>;
@group(0) @binding(3) var<storage, read> loraB: array<f32>;
@group(0) @binding(4) var<uniform> params: Params;
${readStored(o)}

// The step that kernels will read: rounded to f16. Values beyond its range are indeterminate in pack2x16float.
fn halfStep(step: f32) -> f32 { return unpack2x16float(pack2x16float(vec2f(clamp(step, -65504.0, 65504.0), 0.0))).x; }

// Writes a block's values and returns its step.
fn makeBlock(row: u32, block: u32) -> f32 {
  if (block >= params.blocks) { return 0.0; }
  var values: array<f32, ${BLOCK}>;
  var extreme = 0.0;
  for (var c = 0u; c < ${BLOCK}u; c++) {
    let value = stored(row, block * ${BLOCK}u + c);
    values[c] = value;
    if (abs(value) > abs(extreme)) { extreme = value; }
  }
  #if ${o.to === 'q8'}
  let step = halfStep(abs(extreme) / 127.0);
  #else
  let step = halfStep(extreme / -8.0);
  #endif
  let first = (params.targetRow + row) * params.rowWords + block * ${BLOCK / perWord}u;
  for (var w = 0u; w < ${BLOCK / perWord}u; w++) {
    var word = 0u;
    ${unroll(perWord, (c) => `word |= code(values[w * ${perWord}u + ${c}u], step) << ${c * bits}u;`)}
    words[first + w] = word;
  }
  return step;
}

fn code(value: f32, step: f32) -> u32 {
  let steps = select(0.0, value / step, step != 0.0);
  #if ${o.to === 'q8'}
  return bitcast<u32>(i32(clamp(round(steps), -127.0, 127.0))) & 255u;
  #else
  return u32(clamp(floor(steps + 8.5), 0.0, 15.0));
  #endif
}

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u) {
  let valueWords = params.blocks * ${BLOCK / perWord}u;
  if (id.x >= params.rowWords - valueWords) { return; }
  for (var row = id.y; row < params.rows; row += params.rowStep) {
    let steps = vec2f(makeBlock(row, 2u * id.x), makeBlock(row, 2u * id.x + 1u));
    words[(params.targetRow + row) * params.rowWords + valueWords + id.x] = pack2x16float(steps);
  }
}
`
}
