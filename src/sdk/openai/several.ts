import type { PromptStep, Step } from '../options.js'
import type { Session } from '../session-api.js'
import type { Piece } from './answer.js'

/** The pieces of one answer; `prompt` where that was read before. */
export type AnswerOf<P> = (session: Session, index: number, prompt?: PromptStep) => AsyncGenerator<P, void>

/**
 * The pieces of `count` answers to one prompt, as they come. The prompt is read once; the sessions that go on from it generate at the same
 * time, so that one read of the weights serves all of them. `beginning` is a generation with that prompt, of which no more is taken.
 */
export async function* several<P extends Piece<unknown>>(
  session: Session,
  count: number,
  beginning: () => AsyncGenerator<Step, void>,
  answerOf: AnswerOf<P>,
): AsyncGenerator<P, void> {
  if (count === 1) {
    yield* answerOf(session, 0)
    return
  }
  const prompt = await promptOf(beginning())
  const clones = Array.from({ length: count - 1 }, () => session.clone())
  try {
    yield* merged([session, ...clones].map((one, index) => answerOf(one, index, prompt)))
  } finally {
    for (const clone of clones) clone.dispose()
  }
}

async function promptOf(steps: AsyncGenerator<Step, void>): Promise<PromptStep | undefined> {
  for await (const step of steps) if (step.kind === 'prompt') return step
  return undefined
}

/** What all of them give, in the order in which it comes. Where one fails, all end. */
export async function* merged<T>(generators: readonly AsyncGenerator<T, void>[]): AsyncGenerator<T, void> {
  const next = async (generator: AsyncGenerator<T, void>) => ({ generator, result: await generator.next() })
  const pending = new Map(generators.map((generator) => [generator, next(generator)]))
  try {
    while (pending.size > 0) {
      const { generator, result } = await Promise.race(pending.values())
      if (result.done) pending.delete(generator)
      else {
        pending.set(generator, next(generator))
        yield result.value
      }
    }
  } finally {
    const rest = [...pending.values()]
    await Promise.allSettled([...rest, ...generators.map((generator) => generator.return())])
  }
}
