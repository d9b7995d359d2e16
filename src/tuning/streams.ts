import { pcgHash } from '../kernels/reference/random.js'

const STREAMS = ['parameters', 'batches', 'noise', 'text'] as const

/** A seed for each thing that is drawn by lot in a run, so that equal counters draw differently. */
export function streamSeed(seed: number, stream: (typeof STREAMS)[number]): number {
  return pcgHash(seed, 0, STREAMS.indexOf(stream))
}
