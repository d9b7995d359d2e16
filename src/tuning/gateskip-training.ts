import { Parameters } from './parameters.js'
import { residualGating } from './residual-gates.js'
import { keptShare } from './schedules.js'
import type { MakeTraining } from './training.js'

/** GateSkip's gates under a model that stays as it is. */
export const gateskipTraining: MakeTraining = (gpu, { settings, trained }, own) => {
  const { steps, target, coefficient } = settings
  const parameters = own(new Parameters(gpu, trained, true))
  return {
    parameters,
    gating: residualGating(parameters),
    // Nothing is drawn by lot, so that there is no temperature.
    input: (step) => ({ tau: 1, executeRate: keptShare(step, steps, target), coefficient }),
    rate: () => 1,
    // It begins with everything open and kept. As less is kept, the loss rises as far as the model suffers.
    mayRise: Number.POSITIVE_INFINITY,
  }
}
