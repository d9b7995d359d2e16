import { SkipstoneError } from '../errors.js'
import type { SkipPolicy } from './policy.js'
import { shareOf, staticSet } from './static-set.js'

/**
 * LayerSkip's early exit (arXiv 2404.16710): the first `exit` layers run, then the model's own norm and head; so `skip` is the share of layers that are
 * dropped at the end. Checkpoints that were trained for exits are Llama's as they are, with one norm and one head for every exit. With another
 * checkpoint it is the control that drops the last layers.
 *
 * As `speculative`'s draft it is the paper's self-speculative decoding, but that verification runs all layers again where the paper goes on from
 * the states of the exit.
 * @throws `bad-option` for an exit that the model does not have.
 */
export function layerskip(o: { skip: number | undefined; exit: number | undefined; layers: number }): SkipPolicy {
  const { skip = 0.25, exit, layers } = o
  if (exit !== undefined && exit > layers) {
    throw new SkipstoneError('bad-option', `layerskip: exit=${exit} is out of reach; this model has ${layers} layers.`)
  }
  const kept = exit ?? layers - shareOf('layerskip', skip, { all: layers, most: layers - 1 })
  return staticSet({
    name: exit === undefined ? `layerskip:skip=${skip}` : `layerskip:exit=${exit}`,
    skipped: new Set(Array.from({ length: 2 * (layers - kept) }, (_, i) => 2 * kept + i)),
  })
}
