/** Those who wait for the next step of a run, or for its end. */
export class StepReaders {
  readonly #waiting: (() => void)[] = []

  /** There is another step, or the end. */
  tell(): void {
    for (const wake of this.#waiting.splice(0)) wake()
  }

  /** The steps of a run from its first one, and those to come, until `hasEnded`; it then ends as `done` does. */
  async *read<T>(steps: () => readonly T[], hasEnded: () => boolean, done: Promise<void>): AsyncGenerator<T, void> {
    for (let next = 0; ; next++) {
      while (next >= steps().length) {
        if (hasEnded()) return done
        await new Promise<void>((resolve) => this.#waiting.push(resolve))
      }
      yield steps()[next] as T
    }
  }
}
