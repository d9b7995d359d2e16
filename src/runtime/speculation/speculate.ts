import { throwIfAborted } from '../../errors.js'
import { pcgHash } from '../../kernels/reference/random.js'
import type { Drafts, SkipPolicy } from '../../skip/policy.js'
import type { ChosenEvent, GenerateTokensOptions } from '../generation.js'
import { Pace } from '../pace.js'
import type { DecodeRecord } from '../records.js'
import type { Sequence } from '../sequence.js'
import { draw, type Judged, judge } from './acceptance.js'
import { distribution, mostProbable } from './distribution.js'
import { DraftLength } from './draft-length.js'
import { noFigures } from './figures.js'
import { type Drafted, Round } from './round.js'
import { Spoken } from './spoken.js'

export interface SpeculateOptions
  extends Pick<GenerateTokensOptions, 'sampling' | 'signal' | 'logprobs' | 'constraint' | 'stepsPerSubmit'> {
  /** Tokens that are in the cache. */
  readonly context: readonly number[]
  /** The one that was chosen behind them, and is not. */
  readonly newest: number
  /** Tokens to generate at most. */
  readonly left: number
  /** What becomes of a position's record; undefined where it has no token. */
  deliver(record: DecodeRecord): ChosenEvent | undefined
}

/** Sets lots of acceptance apart from those that drafts are drawn with. */
const ACCEPTANCE = 0x9e3779b9

/** What is known of a policy's costs outlives an answer. */
const known = new WeakMap<Sequence, { readonly policy: SkipPolicy; readonly length: DraftLength }>()

/**
 * Generates behind a prompt by drafts that the sequence's policy verifies. Tokens are those that the policy itself would choose, but for rounding; drawn ones
 * have its distribution (acceptance.ts), and depend on the seed and the lengths of drafts. Where a grammar decides, drafts do not know it, and are held to it when they
 * are judged. Ends early where somebody changes the policy meanwhile: the tokens that are then left are returned, and the next decode
 * step may follow.
 */
export async function* speculate(
  sequence: Sequence,
  drafts: Drafts,
  o: SpeculateOptions,
): AsyncGenerator<ChosenEvent, number> {
  const { policy: verifying } = sequence
  const { sampling, constraint } = o
  const { vocabSize } = sequence.engine.shape.config
  const adaptive = drafts.length === 'adaptive' ? lengthOf(sequence, verifying) : undefined
  sequence.speculation ??= noFigures()
  const figures = sequence.speculation
  const spoken = new Spoken(sampling, vocabSize, o.context)
  const most = adaptive?.most ?? (drafts.length as number)
  const round = new Round(sequence, { most, draftLogits: sampling.temperature > 0 })
  // Which tokens may come next is known of one step at a time, and so are logits.
  const oneByOne = constraint !== undefined || o.logprobs !== undefined || sequence.streams
  const pace = new Pace(oneByOne ? 1 : o.stepsPerSubmit)
  let { left, newest } = o
  spoken.add(newest)
  let expected = verifying
  const use = (policy: SkipPolicy) => {
    if (expected !== policy) sequence.usePolicy(policy)
    expected = policy
  }

  /** Decodes without a draft, as far as that is measured, or cheaper. */
  const undrafted = async (length: DraftLength): Promise<ChosenEvent[]> => {
    use(verifying)
    await sequence.prepare('all')
    if (constraint) sequence.allow(constraint.mask())
    const steps = Math.min(length.undrafted, pace.steps, left, sequence.engine.capacity)
    const started = performance.now()
    const read = await sequence.decode(steps, o.signal, { logits: o.logprobs !== undefined })
    const records = await read()
    const ms = performance.now() - started
    pace.report(steps, ms)
    length.decoded(steps, ms)
    const events = records.map((record) => o.deliver(record)).filter((event) => event !== undefined)
    figures.undrafted += events.length
    figures.undraftedMs += ms
    for (const event of events) advance(event)
    return events
  }

  const drafted = async (): Promise<ChosenEvent[]> => {
    use(drafts.policy)
    await sequence.prepare('all')
    await round.prepare()
    const wanted = adaptive?.length ?? (drafts.length as number)
    const length = Math.min(wanted, left - 1)
    if (constraint) sequence.allow(new Uint32Array(Math.ceil(vocabSize / 32)).fill(0xffffffff))
    const from = sequence.length
    const result = await round.run(newest, length, o.signal)
    const events: ChosenEvent[] = []
    let accepted = 0
    for (let row = 0; row <= length; row++) {
      const judged = judgeRow(result, row, from)
      const record = result.records[row] as DecodeRecord
      const logits = result.logits[row] as Float32Array
      const event = o.deliver({ ...record, token: judged.token, logits }) as ChosenEvent
      events.push(event)
      advance(event)
      if (judged.accepted) accepted++
      if (!judged.accepted || event.kind === 'stop') break
    }
    figures.rounds++
    figures.proposed += length
    figures.accepted += accepted
    figures.verified += events.length
    figures.draftMs += result.draftMs
    figures.verifyMs += result.verifyMs
    adaptive?.verified({ length, accepted, draftMs: result.draftMs, verifyMs: result.verifyMs })
    // What is behind the last accepted position is written again by whoever comes there.
    sequence.rewind(from + events.length)
    sequence.resume(newest, spoken.before(newest))
    return events
  }

  /** What follows a row: the token that was drafted there, or another one. Behind the last row nothing was drafted. */
  const judgeRow = (result: Drafted, row: number, from: number): Judged => {
    const choice = spoken.choice(constraint?.mask())
    const logits = result.logits[row] as Float32Array
    const guess = result.tokens[row]
    if (sampling.temperature === 0) {
      const token = mostProbable(logits, choice)
      return { token, accepted: token === guess }
    }
    const p = distribution(logits, choice)
    const lot = (index: number) => pcgHash((sampling.seed ^ ACCEPTANCE) >>> 0, from + row + 1, index) / 2 ** 32
    if (guess === undefined) return { token: draw(p, lot(1)), accepted: false }
    const q = distribution(result.draftLogits[row] as Float32Array, { ...choice, allowed: undefined })
    return judge(p, q, guess, { accept: lot(0), draw: lot(1) })
  }

  const advance = ({ token }: ChosenEvent) => {
    newest = token
    spoken.add(token)
    left--
  }

  try {
    while (left > 0 && sequence.policy === expected) {
      throwIfAborted(o.signal)
      const events = adaptive && adaptive.undrafted > 0 ? await undrafted(adaptive) : await drafted()
      for (const event of events) {
        throwIfAborted(o.signal)
        yield event
        if (event.kind === 'stop') return 0
      }
    }
    return left
  } finally {
    round.destroy()
    // The next prompt is read as this one was.
    if (expected !== verifying && sequence.policy === expected && !sequence.isDestroyed) sequence.usePolicy(verifying)
  }
}

function lengthOf(sequence: Sequence, policy: SkipPolicy): DraftLength {
  const before = known.get(sequence)
  if (before?.policy === policy) return before.length
  const length = new DraftLength()
  known.set(sequence, { policy, length })
  return length
}
