import { wgsl } from 'wgsl-preprocessor/wgsl-preprocessor.js'
import type { RouterOptions } from './router-linear.wgsl.js'
import { workgroupReduce } from './snippets/reduce.js'
import { mainOfRows } from './snippets/row-lanes.js'
import { normOnTheWay, storeScore } from './snippets/score.js'

export interface RouterTwoLayerOptions extends RouterOptions {
  width: number
}

/**
 * SkipGPT's two-layer routers (the form in the official training code): h = ReLU(W1 x + b1), z = (w0 − w1) · h +
 * (b0 − b1) − δ.
 *
 * Buffers and dispatch as in router-linear, but per sublayer, in units of 4: [width, d] hidden weights, [width] hidden
 * biases, [width] output weights, the output bias. Each invocation computes whole hidden units. Loop bounds come from
 * the params: as constants they make some compilers unroll the two loops into minutes of work.
 */
export function routerTwoLayerShader(o: RouterTwoLayerOptions): string {
  const width4 = Math.ceil(o.width / 4)
  return wgsl`
struct Params { sublayer: u32, weights: u32, stride: u32, width: u32, d4: u32, norm: u32 }
@group(0) @binding(0) var<storage, ${o.writesPlan ? 'read_write' : 'read'}> plan: array<u32>;
@group(0) @binding(1) var<storage, read> x: array<vec4f>;
@group(0) @binding(2) var<storage, read> routers: array<vec4f>;
@group(0) @binding(3) var<storage, read> thresholds: array<f32>;
@group(0) @binding(4) var<storage, read_write> z: array<f32>;
@group(0) @binding(5) var<uniform> params: Params;
${workgroupReduce(o.lanes, ['sum'])}
${storeScore(o)}
${normOnTheWay(o, 6)}
${mainOfRows(o, o.writesPlan ? '1u' : 'plan[0]')}
  ${o.norm ? 'normaliseRow(lane, row, row);' : ''}
  for (var s = 0u; s < ${o.count}u; s++) {
    let first = params.weights + s * params.stride;
    let biases = first + ${o.width * o.d4}u;
    let outputs = biases + ${width4}u;
    var sum = 0.0;
    for (var unit = lane; unit < params.width; unit += ${o.lanes}u) {
      var dots = vec4f();
      for (var i = 0u; i < params.d4; i++) { dots = fma(routers[first + unit * ${o.d4}u + i], x[row * ${o.d4}u + i], dots); }
      let hidden = max(dots.x + dots.y + dots.z + dots.w + routers[biases + unit / 4u][unit % 4u], 0.0);
      sum = fma(hidden, routers[outputs + unit / 4u][unit % 4u], sum);
    }
    let score = workgroupSum(lane, sum) + routers[outputs + ${width4}u].x;
    if (lane == 0u) { storeScore(params.sublayer + s, row, score); }
  }
}
`
}
