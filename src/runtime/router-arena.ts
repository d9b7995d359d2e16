import { VectorArena } from '../model/vector-arena.js'
import type { LinearRouter, RouterWeights, TwoLayerRouter } from '../skip/router-weights.js'

/** Router weights in the layout that shaders/router-*.wgsl.ts read: one block per sublayer, all of the same size. */
export interface RouterBlocks {
  readonly data: Float32Array<ArrayBuffer>
  /** Units of four values from one sublayer's block to the next. */
  readonly stride: number
}

export function routerBlocks(routers: RouterWeights): RouterBlocks {
  const arena = new VectorArena()
  const starts: number[] = []
  for (let layer = 0; layer < routers.attention.length; layer++) {
    for (const kind of ['attention', 'mlp'] as const) {
      const router = routers[kind][layer] as LinearRouter | TwoLayerRouter
      starts.push('hiddenWeight' in router ? addTwoLayer(arena, router) : addLinear(arena, router))
    }
  }
  return { data: arena.concatenate(), stride: (starts[1] as number) - (starts[0] as number) }
}

function addLinear(arena: VectorArena, router: LinearRouter): number {
  const start = arena.add([router.weight])
  arena.add([Float32Array.of(router.bias)])
  return start
}

function addTwoLayer(arena: VectorArena, router: TwoLayerRouter): number {
  const width = router.hiddenBias.length
  const d = router.hiddenWeight.length / width
  // Every row starts at a whole vec4.
  const starts = Array.from({ length: width }, (_, unit) =>
    arena.add([router.hiddenWeight.subarray(unit * d, (unit + 1) * d)]),
  )
  arena.add([router.hiddenBias])
  arena.add([router.weight])
  arena.add([Float32Array.of(router.bias)])
  return starts[0] as number
}
