import { loadModel, type Model, skipgpt } from 'skipstone'

const pebble = new URL('../models/pebble/', location.href).href
const [button, prompt, output] = ['generate', 'prompt', 'output'].map((id) => document.getElementById(id))
let model: Model | undefined

button?.addEventListener('click', async () => {
  if (!(button instanceof HTMLButtonElement) || !(prompt instanceof HTMLInputElement) || !output) return
  button.disabled = true
  output.textContent = 'Loading…'
  try {
    model ??= await loadModel(pebble, { routers: `${pebble}skipgpt-25/`, lora: `${pebble}skipgpt-25/lora/` })
    using session = model.createSession({ policy: skipgpt() })
    output.textContent = prompt.value
    for await (const step of session.generate(prompt.value, { maxTokens: 60 })) output.textContent += step.text
    output.textContent += `\n\nSkipped ${Math.round(100 * session.stats().skip.total)} % of the network.`
  } catch (error) {
    // Every failure says what to do.
    output.textContent = String(error)
  }
  button.disabled = false
})
