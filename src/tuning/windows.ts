import { SkipstoneError } from '../errors.js'

/** Share of the windows that nobody trains on, and how many that are at most. */
const HELD_OUT = 0.1
const MOST_HELD_OUT = 64

/** Windows of ids of one length: what trains, and what tells how well. */
export interface TrainingText {
  readonly windows: readonly (readonly number[])[]
  readonly held: readonly (readonly number[])[]
}

/** What stands between documents that share a window. */
export interface Marks {
  readonly bos: number
  /** Undefined where the model has none: documents then follow BOS alone. */
  readonly eos: number | undefined
}

/** Documents one behind the other, EOS after each but the last, and BOS before each but the first: windows bring their own. */
export function joinDocuments(documents: readonly (readonly number[])[], { bos, eos }: Marks): number[] {
  return documents.flatMap((ids, i) => (i === 0 ? ids : [...(eos === undefined ? [] : [eos]), bos, ...ids]))
}

/** Cuts ids into windows of `length`, each with BOS first; what does not fill the last one is left out. */
export function cutWindows(ids: readonly number[], length: number, bos: number): number[][] {
  const own = length - 1
  return Array.from({ length: Math.floor(ids.length / own) }, (_, i) => [bos, ...ids.slice(i * own, (i + 1) * own)])
}

/**
 * Keeps the last tenth of the windows back, one at least.
 * @throws `bad-option` where less than a batch is left to train on.
 */
export function holdOut(windows: readonly (readonly number[])[], batch: number, length: number): TrainingText {
  const held = Math.min(MOST_HELD_OUT, Math.max(1, Math.round(HELD_OUT * windows.length)))
  const train = windows.length - held
  if (train < batch) {
    throw new SkipstoneError(
      'bad-option',
      `The text is shorter than a batch: it fills ${windows.length} windows of ${length} tokens, of which ${held} is held out, and a batch takes ${batch}. Give at least ${(batch + held) * (length - 1)} tokens, or a smaller batch or context.`,
    )
  }
  return { windows: windows.slice(0, train), held: windows.slice(train) }
}
