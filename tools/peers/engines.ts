import type { BrowserBackend } from '../../src/node/browser-page.js'

/** What is compared, each a page of its own in pages/. The first is ours, which the others are measured against. */
export const ENGINES = ['skipstone', 'ort', 'ort-pumped', 'wllama-webgpu', 'wllama-wasm'] as const
export type EngineName = (typeof ENGINES)[number]
export const OURS: EngineName = 'skipstone'

/** The peers that one can ask for, and the engines that each is measured as. */
export const PEERS = {
  ort: ['ort', 'ort-pumped'],
  wllama: ['wllama-webgpu', 'wllama-wasm'],
} as const satisfies Readonly<Record<string, readonly EngineName[]>>

/** Only Firefox looks for read-backs on a timer, so only there is a form that keeps it looking worth its time. */
export function isMeasuredIn(engine: EngineName, browser: BrowserBackend): boolean {
  return engine !== 'ort-pumped' || browser === 'firefox'
}
