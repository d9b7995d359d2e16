// The service worker of the extension. The browser ends it after 30 seconds without an event: every message through a port counts as one, so it
// lives while text flows, and a model that was ended is loaded again from the extension's own files.
import { loadModel, type Model, skipgpt } from 'skipstone'
import type { Port, Request } from './messages.js'

const pebble = chrome.runtime.getURL('models/pebble/')
let loading: Promise<Model> | undefined

function model(): Promise<Model> {
  loading ??= loadModel(pebble, {
    routers: `${pebble}skipgpt-25/`,
    lora: `${pebble}skipgpt-25/lora/`,
    store: false, // the files are here already
  }).catch((error: unknown) => {
    loading = undefined
    throw error
  })
  return loading
}

async function answer(port: Port, prompt: string, signal: AbortSignal): Promise<void> {
  // The first load may take longer than a silent worker lives.
  const awake = setInterval(() => port.postMessage({ text: '' }), 20_000)
  try {
    using session = (await model()).createSession({ policy: skipgpt() })
    for await (const { text } of session.generate(prompt, { maxTokens: 60, signal })) port.postMessage({ text })
    port.postMessage({ done: true })
  } catch (error) {
    // Nobody listens to a page that is gone.
    if (!signal.aborted) port.postMessage({ error: String(error) })
  } finally {
    clearInterval(awake)
  }
}

chrome.runtime.onConnect.addListener((port) => {
  const gone = new AbortController()
  port.onDisconnect.addListener(() => gone.abort())
  port.onMessage.addListener((message) => void answer(port, (message as Request).prompt, gone.signal))
})
