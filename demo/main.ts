import { type GenerateOptions, SkipstoneError } from '../src/index.js'
import { SkipInspector } from '../src/inspector/index.js'
import { Conversation } from './conversation.js'
import { byId, checkedValue, isOn, setOn } from './dom.js'
import { clearAlert, report, say } from './messages.js'
import { ModelPanel } from './model-panel.js'
import { checkWebGpu } from './no-webgpu.js'
import { worksOffline } from './offline.js'
import { PolicyPanel } from './policy-panel.js'
import { foldSettings } from './settings.js'
import { snippet } from './snippet.js'
import { StoredModels } from './stored-models.js'
import { TextView } from './text-view.js'
import { Totals } from './totals.js'

const promptForm = byId('prompt-form', HTMLFormElement)
const continueForm = byId('continue-form', HTMLFormElement)
const prompt = byId('prompt', HTMLTextAreaElement)
const addition = byId('addition', HTMLTextAreaElement)
const buttons = {
  load: byId('load', HTMLButtonElement),
  cancelLoad: byId('cancel-load', HTMLButtonElement),
  generate: byId('generate', HTMLButtonElement),
  stop: byId('stop', HTMLButtonElement),
  continue: byId('continue', HTMLButtonElement),
  newConversation: byId('new-conversation', HTMLButtonElement),
  profile: byId('profile', HTMLButtonElement),
}

const hasWebGpu = checkWebGpu()
const totals = new Totals()
const inspector = byId('inspector', SkipInspector)
const view = new TextView(byId('text', HTMLElement), (position) => {
  inspector.selected = position
})
const policies = new PolicyPanel(() => void changePolicy())
const stored = new StoredModels()
const models = new ModelPanel(
  (model) => {
    void stored.show()
    policies.setRouters(model.hasRouters)
    totals.clear()
    totals.showModel(model)
    void totals.showFeatures()
  },
  () => {
    conversation = undefined
  },
)
let conversation: Conversation | undefined
let running: AbortController | undefined

/** One thing at a time: loading, generating. Its failure is reported and leaves the page ready for the next. */
async function run(work: (signal: AbortSignal) => Promise<void>): Promise<void> {
  if (!hasWebGpu) return
  if (running) {
    say('One thing at a time: wait for what is under way, or stop it.')
    return
  }
  running = new AbortController()
  clearAlert()
  showButtons()
  try {
    await work(running.signal)
  } catch (error) {
    report(error)
  } finally {
    running = undefined
    showButtons()
  }
}

function showButtons(): void {
  const idle = !running && hasWebGpu
  setOn(buttons.load, idle)
  setOn(buttons.generate, idle)
  setOn(buttons.profile, idle)
  setOn(buttons.stop, running !== undefined)
  setOn(buttons.continue, idle && conversation !== undefined)
  setOn(buttons.newConversation, idle && view.length > 0)
}

const number = (id: string) => byId(id, HTMLInputElement).valueAsNumber

function options(signal: AbortSignal): GenerateOptions {
  return { maxTokens: number('max-tokens'), temperature: number('temperature'), seed: number('seed'), signal }
}

function clearConversation(): void {
  conversation?.dispose()
  conversation = undefined
  view.clear()
}

async function generate(signal: AbortSignal): Promise<void> {
  if (prompt.value === '') throw new SkipstoneError('bad-option', 'The prompt is empty: give some text to continue.')
  const model = await models.ready(signal)
  clearConversation()
  const settings = options(signal)
  const request = policies.request(settings.seed ?? 0)
  const chats = checkedValue('mode') === 'chat'
  conversation = new Conversation(model, request, policies.describe(), view, totals, chats, inspector)
  say(policies.calibrates ? 'Finding the threshold for the budget…' : 'Generating…')
  say(await conversation.generate(prompt.value, settings))
}

/** The embedded model is there before anyone asks for it, and what reads its prompt too. */
async function loadAhead(): Promise<void> {
  if (!hasWebGpu || checkedValue('model') !== 'embedded') return
  try {
    const model = await models.ahead()
    await model.text.encode('')
    if (!running) say('Pebble is ready: press Generate.')
  } catch (error) {
    // Those who wait for it are told.
    if (!running) report(error)
  }
}

/** A change of policy takes effect on the text that is there, or being written. */
async function changePolicy(): Promise<void> {
  if (!conversation) return
  const name = policies.describe()
  if (policies.calibrates) say('Finding the threshold for the budget…')
  try {
    await conversation.usePolicy(policies.request(number('seed')), name)
    say(`From here on: ${name}.`)
  } catch (error) {
    report(error)
  }
}

async function goOn(signal: AbortSignal): Promise<void> {
  if (!conversation) return
  say('Generating…')
  const ending = await conversation.generate(addition.value, options(signal))
  addition.value = ''
  say(ending)
}

/** Where the time goes, under the present settings. */
async function profile(signal: AbortSignal): Promise<void> {
  const model = await models.ready(signal)
  const policy = policies.request(number('seed'))
  const onProgress = (done: number, all: number) => say(`Measuring, ${done} of ${all}…`)
  inspector.profile = await model.profile({ policy, signal, onProgress })
  inspector.view = 'speed'
  say(`Measured ${policies.describe()}: the inspector shows it under Speed.`)
}

promptForm.addEventListener('submit', (event) => {
  event.preventDefault()
  run(generate)
})
continueForm.addEventListener('submit', (event) => {
  event.preventDefault()
  if (isOn(buttons.continue) && promptForm.reportValidity()) run(goOn)
})
byId('model-form', HTMLFormElement).addEventListener('submit', (event) => {
  event.preventDefault()
  run(async (signal) => {
    await models.ready(signal)
  })
})
for (const area of [prompt, addition]) {
  area.addEventListener('keydown', (event) => {
    if (event.key === 'Enter' && (event.ctrlKey || event.metaKey)) area.form?.requestSubmit()
  })
}
buttons.stop.addEventListener('click', () => {
  if (!running) return
  say('Stopping…')
  running.abort()
})
buttons.profile.addEventListener('click', () => {
  if (isOn(buttons.profile)) run(profile)
})
buttons.cancelLoad.addEventListener('click', () => {
  say('Stopping…')
  models.cancel()
})
buttons.newConversation.addEventListener('click', () => {
  if (!isOn(buttons.newConversation)) return
  clearConversation()
  say('New conversation.')
  showButtons()
  prompt.focus()
})
inspector.addEventListener('select', () => view.select(inspector.selected))
function showSnippet(): void {
  byId('snippet', HTMLElement).textContent = describeCode()
}

function describeCode(): string {
  try {
    const settings = { maxTokens: number('max-tokens'), temperature: number('temperature'), seed: number('seed') }
    const policy = policies.code(settings.seed)
    return snippet({
      ...models.code(),
      ...settings,
      policy,
      prompt: prompt.value,
      chat: checkedValue('mode') === 'chat',
    })
  } catch (error) {
    // Nothing is chosen yet.
    return error instanceof Error ? error.message : String(error)
  }
}

byId('embed', HTMLDetailsElement).addEventListener('toggle', showSnippet)
document.addEventListener('change', showSnippet)
byId('copy-snippet', HTMLButtonElement).addEventListener('click', async () => {
  try {
    await navigator.clipboard.writeText(describeCode())
    say('Copied.')
  } catch {
    say('This browser does not let the page copy: select the text instead.')
  }
})
showButtons()
foldSettings(() => `${models.describe()}, ${policies.describe()}`)
worksOffline()
void loadAhead()
