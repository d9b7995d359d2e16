import { loadModel, type Model, skipgpt } from 'skipstone/worker'

const pebble = new URL('../models/pebble/', location.href).href
const generate = document.querySelector<HTMLButtonElement>('#generate')
const stop = document.querySelector<HTMLButtonElement>('#stop')
const prompt = document.querySelector<HTMLInputElement>('#prompt')
const progress = document.querySelector<HTMLProgressElement>('#progress')
const output = document.querySelector<HTMLElement>('#output')
let model: Model | undefined
let running: AbortController | undefined

async function run(text: string, signal: AbortSignal, show: (text: string) => void): Promise<void> {
  model ??= await loadModel(pebble, {
    routers: `${pebble}skipgpt-40/`,
    lora: `${pebble}skipgpt-40/lora/`,
    signal,
    onProgress({ loaded, total }) {
      if (progress && total) [progress.value, progress.max] = [loaded, total]
    },
  })
  using session = model.createSession({ policy: skipgpt() })
  let whole = text
  for await (const step of session.generate(text, { maxTokens: 200, signal })) {
    whole += step.text
    show(whole)
  }
}

generate?.addEventListener('click', async () => {
  if (running || !prompt || !output || !progress) return
  running = new AbortController()
  progress.hidden = model !== undefined
  try {
    await run(prompt.value, running.signal, (text) => {
      progress.hidden = true
      output.textContent = text
    })
  } catch (error) {
    output.textContent += `\n\n${String(error)}`
  }
  progress.hidden = true
  running = undefined
})
stop?.addEventListener('click', () => running?.abort())
