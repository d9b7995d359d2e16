export interface Followed<T> {
  readonly steps: readonly T[]
  readonly hasEnded: boolean
  /** Fulfilled when there is another step, or the end. */
  changed(): Promise<void>
  readonly done: Promise<void>
}

/** The steps of a run from its first one, and those to come; ends as the run does. */
export async function* followSteps<T>(run: Followed<T>): AsyncGenerator<T, void> {
  for (let next = 0; ; next++) {
    while (next >= run.steps.length) {
      if (run.hasEnded) return run.done
      await run.changed()
    }
    yield run.steps[next] as T
  }
}
