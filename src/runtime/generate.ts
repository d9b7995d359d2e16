import { throwIfAborted } from '../errors.js'
import type { ChosenEvent, GenerateTokensOptions, TokenEvent } from './generation.js'
import { tokenLogprobs } from './logprobs.js'
import { Pace } from './pace.js'
import type { DecodeRecord, StepRecord, Submitted } from './records.js'
import type { Sequence } from './sequence.js'
import { takeTurns } from './together.js'
import type { Watching } from './watching.js'

/**
 * Feeds `ids`, then generates until a stop token, `maxTokens`, or the end of the context. The next submit is always on
 * its way while the last one is read. When the consumer stops early, the sequence may be a few positions ahead of what
 * was delivered: rewind it.
 */
export async function* generateTokens(
  sequence: Sequence,
  ids: readonly number[],
  o: GenerateTokensOptions,
): AsyncGenerator<TokenEvent, void> {
  const { constraint, logprobs } = o
  const wantsLogprobs = logprobs !== undefined
  const options = {
    sampling: o.sampling,
    seen: o.seen,
    allowed: constraint?.mask(),
    ...(o.signal && { signal: o.signal }),
    logits: o.logits || wantsLogprobs,
  }
  // Few callers ask about their prompts: this is loaded for them.
  const prompt =
    o.promptLogprobs === undefined
      ? { ...(await sequence.prefill(ids, options)), logprobs: [] }
      : await (await import('./prompt-reader.js')).readPrompt(sequence, ids, o.promptLogprobs, options)
  const { records, logits } = prompt
  yield { kind: 'prompt', records, logits: o.logits ? logits : undefined, logprobs: prompt.logprobs }
  const stops = new Set(o.sampling.stopIds)
  const deliver = ({ logits, ...record }: DecodeRecord): ChosenEvent | undefined => {
    const { token } = record
    if (token === undefined) return undefined
    if (stops.has(token)) return { kind: 'stop', token, record }
    constraint?.accept(token)
    const event = { kind: 'token', token, record } as const
    return wantsLogprobs && logits ? { ...event, logprobs: tokenLogprobs(logits, token, logprobs) } : event
  }

  const first = deliver({ ...(records.at(-1) as StepRecord), ...(logits && { logits }) })
  if (!first) return
  yield first
  if (first.kind === 'stop') return

  // The token sampled at the last position of the context is the last one: it cannot be fed.
  let left = Math.min(o.maxTokens - 1, o.contextLength - sequence.length)
  const { drafts } = sequence.policy
  if (drafts && left > 0) {
    const { speculate } = await import('./speculation/speculate.js')
    const context = [...o.seen, ...ids]
    left = yield* speculate(sequence, drafts, { ...o, context, newest: first.token, left, deliver })
  }
  // A streamed step waits for its weights: another one ahead of it would only fetch for tokens that nobody may want.
  const ahead = sequence.streams || constraint ? 1 : 2
  // Logits are read behind the last step of a submit.
  const pace = new Pace(ahead === 1 || wantsLogprobs ? 1 : o.stepsPerSubmit)
  let lastDone = 0
  const inFlight: (Submitted & { submitted: number })[] = []
  // Whose next step depends on what the CPU makes of the last one cannot wait for others.
  const turns = ahead > 1 && !wantsLogprobs ? takeTurns(sequence) : undefined
  const { policy } = sequence
  let watching: Watching | undefined
  let decided = policy
  try {
    if (policy.watch && left > 0) watching = new (await import('./watching.js')).Watching(sequence, policy.watch)
    while (left > 0 || inFlight.length > 0) {
      throwIfAborted(o.signal)
      while (left > 0 && inFlight.length < (watching ? 1 : ahead)) {
        if (constraint) sequence.allow(constraint.mask())
        const most = watching?.left ?? Number.POSITIVE_INFINITY
        const steps = Math.min(left, pace.steps, sequence.engine.capacity, most)
        const observed = await watching?.observed()
        const next =
          turns && !watching
            ? await turns.decode(steps, o.signal)
            : { steps, read: await sequence.decode(steps, o.signal, { logits: wantsLogprobs, observed }) }
        inFlight.push({ ...next, submitted: performance.now() })
        left -= next.steps
      }
      const oldest = inFlight.shift()
      if (!oldest) break
      const batch = await oldest.read()
      // It began to run when the submit before it was done.
      const now = performance.now()
      pace.report(oldest.steps, now - Math.max(oldest.submitted, lastDone))
      lastDone = now
      for (const record of batch) {
        throwIfAborted(o.signal)
        const event = deliver(record)
        if (!event) return
        yield event
        if (event.kind === 'stop') return
      }
      watching?.count(oldest.steps)
      if (!watching || watching.left > 0) continue
      const next = await watching.decide()
      watching.destroy()
      watching = undefined
      // Somebody may have changed it meanwhile.
      if (sequence.policy !== policy) continue
      decided = next
      sequence.usePolicy(decided)
    }
  } finally {
    watching?.destroy()
    // The next prompt is read as this one was.
    if (decided !== policy && sequence.policy === decided && !sequence.isDestroyed) sequence.usePolicy(policy)
    turns?.leave()
    // Read-back buffers return to the ring only when they were read.
    await Promise.allSettled(inFlight.map((submit) => submit.read()))
  }
}
