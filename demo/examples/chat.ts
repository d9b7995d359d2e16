import { loadModel, type Model } from 'skipstone/worker'

const form = document.querySelector<HTMLFormElement>('#form')
const address = document.querySelector<HTMLInputElement>('#model')
const length = document.querySelector<HTMLInputElement>('#length')
const question = document.querySelector<HTMLInputElement>('#question')
const status = document.querySelector<HTMLElement>('#status')
const list = document.querySelector<HTMLElement>('#messages')
const history: { role: string; content: string }[] = []
let loaded: { source: string; model: Model } | undefined
let busy = false

async function modelAt(source: string): Promise<Model> {
  if (loaded?.source === source) return loaded.model
  loaded?.model.dispose()
  loaded = undefined
  const model = await loadModel(source, {
    dtype: 'q8',
    onProgress: ({ loaded: bytes }) => say(`${(bytes / 1e6).toFixed(0)} MB`),
  })
  loaded = { source, model }
  return model
}

/** As text, never as HTML: a model may write anything. */
function add(who: string, text: string): HTMLElement {
  const item = document.createElement('li')
  item.textContent = `${who}: ${text}`
  list?.append(item)
  return item
}

function say(text: string): void {
  if (status) status.textContent = text
}

async function ask(source: string, content: string): Promise<void> {
  say('Loading…')
  const model = await modelAt(source)
  say('')
  const messages = [...history, { role: 'user', content }]
  add('You', content)
  const item = add('Model', '')
  let answer = ''
  const max_tokens = length?.valueAsNumber || 200
  const reply = await model.chat.completions.create({ messages, stream: true, max_tokens, temperature: 0.7 })
  for await (const { choices } of reply) {
    answer += choices[0]?.delta.content ?? ''
    item.textContent = `Model: ${answer}`
  }
  history.push({ role: 'user', content }, { role: 'assistant', content: answer })
}

form?.addEventListener('submit', async (event) => {
  event.preventDefault()
  if (busy || !address || !question) return
  busy = true
  try {
    await ask(address.value, question.value)
    question.value = ''
  } catch (error) {
    say(String(error))
  }
  busy = false
})
