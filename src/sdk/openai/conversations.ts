import type { PolicyRequest } from '../policies.js'
import type { Session } from '../session-api.js'
import type { ModelText } from '../text-api.js'

/** What completions need of a model. */
export interface CompletionHost {
  readonly text: ModelText
  createSession(options: { policy: PolicyRequest | string }): Session
}

/**
 * The conversation of the last request, kept for the next: an API without conversations sends every message again, and what both
 * requests share need not be processed twice. One is kept, as each holds a cache on the GPU.
 */
export class Conversations {
  #idle: { session: Session; policy: string } | undefined

  constructor(private readonly host: CompletionHost) {}

  /** Lends a session with this policy for as long as `use` runs. */
  async *lend<T>(
    policy: PolicyRequest | string,
    use: (session: Session) => AsyncGenerator<T, void>,
  ): AsyncGenerator<T, void> {
    const key = JSON.stringify(policy)
    const kept = this.#idle
    this.#idle = undefined
    if (kept && kept.policy !== key) kept.session.dispose()
    const session = kept?.policy === key ? kept.session : this.host.createSession({ policy })
    try {
      yield* use(session)
    } finally {
      if (this.#idle) session.dispose()
      else this.#idle = { session, policy: key }
    }
  }
}
