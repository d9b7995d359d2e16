import { expect, it } from 'vitest'
import { score } from '../../src/runtime/score.js'
import { skipgptPolicy } from '../../src/skip/skipgpt.js'
import { scoreSteps } from '../../src/study/score-steps.js'
import { randomIds } from '../fixtures/tiny-model.js'
import { expectClose } from '../gpu/testing.js'
import { describeRuntime, TOLERANCE } from './support.js'

describeRuntime('scoring in decode steps', (bench) => {
  it('gives the loss and the bits of scoring as a prompt, window after window', async () => {
    const sequence = bench().sequence(skipgptPolicy({ routers: bench().routers }))
    for (const ids of [randomIds(2, 7), randomIds(40, 11)]) {
      const expected = await score(sequence, ids)
      const { nll, records } = await scoreSteps(sequence, ids)
      expectClose(nll, expected.nll, TOLERANCE)
      expect(records.map(({ bits }) => [...bits])).toEqual(expected.records.map(({ bits }) => [...bits]))
      expect(records.map(({ token }) => token)).toEqual(ids.slice(1))
    }
  })
})
