import type { Model } from '../../src/index.js'
import type { SkipInspector } from '../../src/inspector/index.js'
import { byId } from '../dom.js'
import { percent } from '../format.js'

const TOKENS = 80
const TEMPERATURE = 0.8
const SEED = 1

/** Lets a model write with what decides in it now; text and decisions appear while it does. */
export async function tryOut(
  model: Model,
  prompt: string,
  inspector: SkipInspector,
  { signal, title, policy }: { readonly signal: AbortSignal; readonly title: string; readonly policy: string },
): Promise<void> {
  const output = byId('output', HTMLElement)
  const ratios = byId('ratios', HTMLElement)
  const session = model.createSession({ policy })
  output.textContent = prompt
  ratios.textContent = ''
  try {
    const maxTokens = Math.max(1, Math.min(TOKENS, model.config.contextLength >> 1))
    const steps = session.generate(prompt, { maxTokens, temperature: TEMPERATURE, seed: SEED, signal })
    for await (const step of inspector.watch(steps, { layers: model.config.layers, title, text: model.text })) {
      output.append(step.text)
    }
  } finally {
    const { skip, positions } = session.stats()
    if (positions > 0) {
      const kinds = `attention ${percent(skip.attention)}, MLP ${percent(skip.mlp)}`
      ratios.textContent = `${title}: skipped ${percent(skip.total)} of its sublayers (${kinds}).`
    }
    session.dispose()
  }
}
