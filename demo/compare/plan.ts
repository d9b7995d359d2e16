import { SkipstoneError } from '../../src/index.js'
import { modelKey, needsRouters, type Setting } from './setting.js'
import type { State } from './state.js'

/**
 * The order in which settings run: those that share a model one after the other, so that each model is loaded once. The first
 * setting stays first, because the others are compared with its text.
 */
export function plan({ settings, address }: State): number[] {
  const groups = new Map<string, number[]>()
  for (const [i, setting] of settings.entries()) {
    const key = modelKey(setting, address)
    groups.set(key, [...(groups.get(key) ?? []), i])
  }
  return [...groups.values()].flat()
}

/** @throws `bad-option`, in words, for what cannot run whatever the model is. */
export function check({ prompt, settings, address }: State): void {
  if (prompt === '') throw new SkipstoneError('bad-option', 'The prompt is empty: give some text to continue.')
  if (address !== '') return
  const without = settings.findIndex((setting: Setting) => needsRouters(setting) && setting.routers === '')
  if (without < 0) return
  throw new SkipstoneError(
    'bad-option',
    `Setting ${without + 1} is to skip by routers and has none: choose its routers, or another policy.`,
  )
}
