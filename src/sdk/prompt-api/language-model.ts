import { SkipstoneError } from '../../errors.js'
import type { Model } from '../model-api.js'
import type { PolicyRequest } from '../policies.js'
import { chatMessages, type PromptMessage } from './messages.js'
import { PromptSession } from './prompt-session.js'

export interface CreateOptions {
  /** What every conversation begins with; it is never dropped. A system message comes first. */
  initialPrompts?: readonly PromptMessage[]
  temperature?: number
  topK?: number
  signal?: AbortSignal
  /** Told once that everything is there: the model is loaded already. */
  monitor?: (monitor: EventTarget) => void
  /** What to skip; ours. Default: nothing. */
  policy?: PolicyRequest | string
}

/** The `LanguageModel` of the browsers' Prompt API (webmachinelearning.github.io/prompt-api). */
export interface LanguageModel {
  create(options?: CreateOptions): Promise<PromptSession>
  availability(options?: object): Promise<'available'>
  params(): Promise<{ defaultTopK: number; maxTopK: number; defaultTemperature: number; maxTemperature: number }>
}

/**
 * A loaded model in the shape of the Prompt API: with `const LanguageModel = languageModel(await loadModel(…))`, code that was
 * written for the browser's own model runs on this one. It needs a chat template.
 */
export function languageModel(model: Model): LanguageModel {
  return {
    async create(options = {}) {
      const { signal, monitor, policy = 'dense', temperature, topK } = options
      signal?.throwIfAborted()
      const initial = chatMessages(options.initialPrompts ?? [])
      if (initial.slice(1).some(({ role }) => role === 'system')) {
        throw new SkipstoneError('bad-option', 'Only the first of the initial prompts can have the role system.')
      }
      if (monitor) announce(monitor)
      const session = model.createSession({ policy })
      const sampling = { ...(temperature !== undefined && { temperature }), ...(topK !== undefined && { topK }) }
      return PromptSession.open({ model, session, initial, messages: [], sampling })
    },
    async availability() {
      return 'available'
    },
    async params() {
      const { temperature = 1, topK = 0 } = model.generation
      return { defaultTopK: topK, maxTopK: model.config.vocabSize, defaultTemperature: temperature, maxTemperature: 2 }
    },
  }
}

function announce(monitor: (monitor: EventTarget) => void): void {
  const target = new EventTarget()
  monitor(target)
  for (const loaded of [0, 1]) target.dispatchEvent(Object.assign(new Event('downloadprogress'), { loaded, total: 1 }))
}
