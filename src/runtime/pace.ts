/** The time that one submit should take: long enough to hide the CPU, short enough for text to flow. */
const TARGET_MS = 60
const MOST_STEPS = 16

/** Decides how many decode steps go into the next submit, from how long the last ones took. */
export class Pace {
  #steps = 1

  /** `fixed` steps per submit where given. */
  constructor(private readonly fixed?: number) {}

  get steps(): number {
    return this.fixed ?? this.#steps
  }

  /** Reports that `steps` steps took `ms`. */
  report(steps: number, ms: number): void {
    const fitting = Math.floor(TARGET_MS / Math.max(ms / steps, 0.01))
    // At most double, so that one lucky measurement does not make text arrive in lumps.
    this.#steps = Math.max(1, Math.min(fitting, 2 * this.#steps, MOST_STEPS))
  }
}
