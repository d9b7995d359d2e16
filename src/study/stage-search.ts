import { SkipstoneError, throwIfAborted } from '../errors.js'

/** What a staged task came to under one list of budgets. */
export interface StageTrial {
  /** Sublayers that each stage leaves out. */
  readonly budgets: readonly number[]
  /** Share of the examples that were answered rightly. */
  readonly accuracy: number
  /** Milliseconds of each stage, over all examples, prompts included. */
  readonly stageMs: readonly number[]
}

export interface StageSearchOptions {
  readonly stages: number
  /** Budgets to try: 0 to this. */
  readonly most: number
  /** Accuracy that may be lost. */
  readonly epsilon: number
  readonly measure: (budgets: readonly number[]) => Promise<Omit<StageTrial, 'budgets'>>
  readonly signal?: AbortSignal | undefined
  /** Trials done and to do. */
  readonly onProgress?: ((done: number, all: number) => void) | undefined
}

export interface StageSearch {
  /** The fastest one that is right often enough. */
  readonly best: StageTrial
  readonly full: StageTrial
  readonly tried: readonly StageTrial[]
}

/**
 * LiteStage's offline search (arXiv 2510.14211): stages in the order of the time that they take in full, the slowest first. Of each, budgets 0,
 * 1, 2, … are tried, and the one of the lowest measured latency stays whose accuracy is at least that of the full model less epsilon. Time is
 * measured end to end, since a model that skips may write more. Of equally fast ones the lower budget stays.
 * @throws `bad-option` where there is no stage, `aborted`.
 */
export async function searchStages(o: StageSearchOptions): Promise<StageSearch> {
  if (o.stages < 1)
    throw new SkipstoneError('bad-option', 'The task has no stages: give at least one prompt for each example.')
  const tried: StageTrial[] = []
  const measure = async (budgets: readonly number[]) => {
    throwIfAborted(o.signal)
    const trial = { budgets, ...(await o.measure(budgets)) }
    tried.push(trial)
    o.onProgress?.(tried.length, 1 + o.stages * o.most)
    return trial
  }
  const full = await measure(new Array<number>(o.stages).fill(0))
  const slowestFirst = full.stageMs.map((ms, stage) => ({ ms, stage })).sort((a, b) => b.ms - a.ms)
  let best = full
  for (const { stage } of slowestFirst) {
    const frozen = best.budgets
    for (let budget = 1; budget <= o.most; budget++) {
      const trial = await measure(frozen.map((its, i) => (i === stage ? budget : its)))
      if (trial.accuracy >= full.accuracy - o.epsilon && latency(trial) < latency(best)) best = trial
    }
  }
  return { best, full, tried }
}

function latency({ stageMs }: StageTrial): number {
  return stageMs.reduce((sum, ms) => sum + ms, 0)
}
