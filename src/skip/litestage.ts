import { SkipstoneError } from '../errors.js'
import type { SkipPolicy } from './policy.js'
import type { SkipProfile } from './profile.js'
import { mostSimilar, shareOf, staticSet } from './static-set.js'

/**
 * LiteStage (arXiv 2510.14211): a task that is answered in stages skips another number of sublayers in each. There is one ranking of the 2L
 * sublayers for all stages, AdaSkip's, by E cos(before, behind) of the residual stream; stage s leaves out the `budgets[s − 1]` most similar
 * ones, for every token that is read or generated in it. Of equals the lower one goes first.
 *
 * Whoever calls says which stage it is: `session.usePolicy` with another `stage` between two prompts. Where a stage attends to what the one
 * before left out, the conversation is read again. The paper's search for budgets is that of study/stage-search.ts.
 *
 * Departures: the paper says nothing of scaling outputs, so that a skipped sublayer is the identity; its ranking accumulates over the prompts
 * of all stages, here it is the profile's text.
 * @throws `bad-option` for a stage without a budget, or a budget that the model does not have.
 */
export function litestage(o: { budgets: readonly number[]; stage: number; profile: SkipProfile }): SkipPolicy {
  const { budgets, stage, profile } = o
  const budget = budgets[stage - 1]
  if (budget === undefined) {
    throw new SkipstoneError(
      'bad-option',
      `litestage: stage=${stage} is none of the ${budgets.length} that have budgets.`,
    )
  }
  const all = 2 * profile.model.layers
  const count = shareOf('litestage', budget / all, { all, most: all })
  return staticSet({
    name: `litestage:budgets=${budgets.join('/')},stage=${stage}`,
    skipped: new Set(mostSimilar(profile.similarity, count)),
  })
}
