import type { Reply } from './messages.js'

const [button, prompt, output] = ['generate', 'prompt', 'output'].map((id) => document.getElementById(id))

button?.addEventListener('click', () => {
  if (!(button instanceof HTMLButtonElement) || !(prompt instanceof HTMLInputElement) || !output) return
  button.disabled = true
  output.textContent = prompt.value
  const port = chrome.runtime.connect()
  const end = () => {
    button.disabled = false
  }
  port.onMessage.addListener((message) => {
    const reply = message as Reply
    if ('text' in reply) output.textContent += reply.text
    else if ('error' in reply) output.textContent = reply.error
    else end()
  })
  port.onDisconnect.addListener(end)
  port.postMessage({ prompt: prompt.value })
})
