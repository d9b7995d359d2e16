import type { Step } from '../../../src/index.js'
import { type InspectorTrace, SkipInspector } from '../../../src/inspector/index.js'
import { stepsOf, syntheticTrace } from '../../inspector/synthetic.js'

const inspector = document.querySelector('skip-inspector')
if (!(inspector instanceof SkipInspector)) throw new Error('The element is not registered.')
const selections: (number | undefined)[] = []
inspector.addEventListener('select', (event) => {
  selections.push((event as CustomEvent<{ position: number | undefined }>).detail.position)
})

/** Steps as a session yields them, `pauseMs` apart. */
async function* session(trace: InspectorTrace, prompt: number, pauseMs: number): AsyncGenerator<Step, void> {
  for (const step of stepsOf(trace, prompt)) {
    await new Promise((resolve) => setTimeout(resolve, pauseMs))
    yield step
  }
}

/** What tests call. */
const tools = {
  inspector,
  selections,
  syntheticTrace,
  /** Shows a run through `watch()`; returns how many steps came through. */
  async live(trace: InspectorTrace, prompt: number, pauseMs: number): Promise<number> {
    const texts = new Map(
      trace.steps.map(({ token, text, special }) => [token, { text: text ?? '', special: special ?? false }]),
    )
    const text = {
      pieces: async (ids: readonly number[]) => ids.map((id) => texts.get(id) ?? { text: '', special: false }),
    }
    let steps = 0
    const { layers, title } = trace
    for await (const step of inspector.watch(session(trace, prompt, pauseMs), { layers, title, text })) {
      if (step.kind !== 'end') steps++
    }
    return steps
  },
}
export type Tools = typeof tools

Object.assign(window, { tools })
