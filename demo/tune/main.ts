import { SkipInspector } from '../../src/inspector/index.js'
import { save } from '../compare/export.js'
import { byId, create, isOn, setOn } from '../dom.js'
import { clearAlert, report, say, warn } from '../messages.js'
import { checkWebGpu } from '../no-webgpu.js'
import { worksOffline } from '../offline.js'
import { measure, rowsTable } from './before-after.js'
import { TuneForm } from './form.js'
import { drop, type Kept, keep, recall } from './kept.js'
import { LoadedModel, loadAdapted } from './loaded.js'
import { hideProgress, showProgress } from './progress.js'
import { check, describe, optionsOf } from './request.js'
import { ROUTERS, STAGES } from './stages.js'
import { type Begun, Training } from './training.js'
import { tryOut } from './trial.js'

/** As the library keeps a run. */
const KEEP_EVERY = 25

const buttons = {
  train: byId('train', HTMLButtonElement),
  pause: byId('pause', HTMLButtonElement),
  stop: byId('stop', HTMLButtonElement),
  goOn: byId('go-on', HTMLButtonElement),
  forget: byId('forget', HTMLButtonElement),
  try: byId('try', HTMLButtonElement),
  measure: byId('measure', HTMLButtonElement),
  stopTask: byId('stop-task', HTMLButtonElement),
}
const prompt = byId('prompt', HTMLTextAreaElement)
const taskLine = byId('task', HTMLElement)
const taskDetail = byId('task-detail', HTMLElement)
const inspector = byId('inspector', SkipInspector)

const hasWebGpu = checkWebGpu()
const form = new TuneForm()
const models = new LoadedModel()
/** The last run, also when it has ended. */
let training: Training | undefined
/** Loading and writing, before there is a run. */
let preparing: AbortController | undefined
/** Trying or measuring, which a run does not keep from going on. */
let task: AbortController | undefined
/** Routers that were trained on this page. */
let trained: Uint8Array<ArrayBuffer> | undefined
let kept: Kept | undefined

function showButtons(): void {
  const live = training?.live === true
  const ready = training !== undefined && !preparing
  setOn(buttons.train, hasWebGpu && !preparing && !live && !task)
  setOn(buttons.pause, live)
  buttons.pause.textContent = live && training?.paused ? 'Resume' : 'Pause'
  setOn(buttons.stop, live || preparing !== undefined)
  setOn(buttons.try, ready && !task)
  setOn(buttons.measure, ready && !task)
  setOn(buttons.stopTask, task !== undefined)
  byId('results', HTMLElement).hidden = training === undefined
  const there = training !== undefined && kept !== undefined && kept.steps >= kept.total
  byId('kept', HTMLElement).hidden = !kept || live || there || preparing !== undefined
  setOn(buttons.goOn, hasWebGpu && !task)
  if (!kept) return
  const done = kept.steps >= kept.total ? 'all' : kept.steps
  byId('kept-text', HTMLElement).textContent =
    `It trains ${describe(kept.request)}: ${done} of ${kept.total} steps were done.`
}

/** Loads, writes or reads the text, and trains to the end. `resume`: goes on where a run like this was kept. */
async function train(begun: Begun, resume: boolean): Promise<void> {
  if (!hasWebGpu || preparing || task || training?.live) return
  const { request, before } = begun
  preparing = new AbortController()
  const { signal } = preparing
  clearAlert()
  warn('')
  showButtons()
  try {
    check(request)
    say('Loading the model…')
    const model = await models.get(request, before, { signal, onProgress: showProgress })
    // What was trained on a model that is gone can be measured no more.
    if (training?.model !== model) training = undefined
    say(request.text === undefined ? 'The model writes the text to train on…' : 'Reading the text…')
    showProgress('')
    const onStep = () => stepped()
    const onProgress = (done: number, all: number) => showProgress(`${done} of ${all} windows are written`, done, all)
    const run = await model.tune({ ...optionsOf(request), resume, signal, onStep, onProgress })
    training = new Training(run, model, begun)
    await keepRun()
    clearResults()
    say(training.done > 0 ? `Training goes on behind ${training.reached}…` : 'Training…')
    preparing = undefined
    showButtons()
    await follow(training)
  } catch (error) {
    report(error)
  } finally {
    preparing = undefined
    hideProgress()
    showButtons()
  }
}

async function follow(now: Training): Promise<void> {
  try {
    await now.end()
  } finally {
    if (now.run.stage === 'routers') trained = (await now.run.export()).get(ROUTERS)
    await keepRun()
    showButtons()
  }
  say(
    now.done === now.run.total
      ? `Done: ${now.reached}. Try it, measure it, or download it below.`
      : `Stopped after ${now.reached}; what there is can be tried, measured and downloaded.`,
  )
}

function stepped(): void {
  if (!training) return
  training.step()
  if (training.done % KEEP_EVERY === 0) void keepRun()
}

async function pause(now: Training): Promise<void> {
  try {
    const paused = now.pause()
    showButtons()
    await paused
    await keepRun()
  } catch (error) {
    report(error)
  }
}

async function keepRun(): Promise<void> {
  if (!training) return
  const { begun, done, run } = training
  kept = { ...begun, key: run.key, steps: done, total: run.total }
  await keep(kept)
}

function clearResults(): void {
  byId('table', HTMLElement).replaceChildren()
  byId('output', HTMLElement).textContent = ''
  byId('ratios', HTMLElement).textContent = ''
  taskLine.textContent = ''
  showFiles()
}

/** A button for each file: browsers ask before they save several at once. */
function showFiles(): void {
  if (!training) return
  const { run, begun } = training
  const own = STAGES[run.stage].files.map((name) => fileButton(name, async () => (await run.export()).get(name)))
  if (run.stage === 'lora' && begun.before) own.push(fileButton(ROUTERS, async () => begun.before))
  byId('files', HTMLElement).replaceChildren(...own)
}

function fileButton(name: string, read: () => Promise<Uint8Array<ArrayBuffer> | undefined>): HTMLButtonElement {
  const button = create('button', { text: `Download ${name}` })
  button.type = 'button'
  button.addEventListener('click', async () => {
    try {
      const bytes = await read()
      if (bytes) save(name, bytes)
    } catch (error) {
      report(error)
    }
  })
  return button
}

/** What a task is at; it changes too often to be read out. */
function showDetail(text: string): void {
  taskDetail.textContent = text
}

/** Beside a run, one at a time. */
async function doTask(work: (now: Training, signal: AbortSignal) => Promise<string>): Promise<void> {
  if (!training || task || preparing) return
  task = new AbortController()
  clearAlert()
  showButtons()
  try {
    taskLine.textContent = await work(training, task.signal)
  } catch (error) {
    taskLine.textContent = task.signal.aborted ? 'Stopped.' : ''
    if (!task.signal.aborted) report(error)
  } finally {
    task = undefined
    taskDetail.textContent = ''
    showButtons()
  }
}

async function tryNow(now: Training, signal: AbortSignal): Promise<string> {
  const { run, model, begun, done } = now
  const after = `after ${done === 1 ? '1 step' : `${done} steps`}`
  const { decides, policy } = STAGES[run.stage]
  if (decides) {
    taskLine.textContent = `Finding the thresholds of these ${decides.name.toLowerCase()}…`
    await run.use()
    models.changed()
    signal.throwIfAborted()
    taskLine.textContent = 'Writing…'
    await tryOut(model, prompt.value, inspector, { signal, policy, title: `${decides.name} ${after}` })
    return `Written with the ${decides.name.toLowerCase()} ${after}.`
  }
  taskLine.textContent = 'Loading the model with the LoRA…'
  const adapted = await loadAdapted(begun.request, begun.before, await run.export(), { signal, onProgress: showDetail })
  try {
    taskDetail.textContent = ''
    taskLine.textContent = 'Writing…'
    await tryOut(adapted, prompt.value, inspector, { signal, policy, title: `With the LoRA ${after}` })
  } finally {
    adapted.dispose()
  }
  return `Written with the LoRA ${after}.`
}

async function measureNow({ run, model, reached }: Training, signal: AbortSignal): Promise<string> {
  const onStage = (text: string) => {
    taskLine.textContent = `Measuring: ${text}…`
  }
  const rows = await measure(run, model, { signal, onStage, onProgress: showDetail })
  byId('table', HTMLElement).replaceChildren(rowsTable(rows))
  return `Measured after ${reached}, on ${run.held.length === 1 ? '1 window' : `${run.held.length} windows`} of text.`
}

byId('tune-form', HTMLFormElement).addEventListener('submit', async (event) => {
  event.preventDefault()
  if (!isOn(buttons.train)) return
  try {
    const request = await form.request()
    await train({ request, before: request.routers === 'trained' ? trained : undefined }, false)
  } catch (error) {
    report(error)
  }
})
buttons.pause.addEventListener('click', async () => {
  if (!training?.live) return
  if (training.paused) training.resume()
  else await pause(training)
  showButtons()
})
buttons.stop.addEventListener('click', () => {
  if (!isOn(buttons.stop)) return
  say('Stopping…')
  preparing?.abort()
  // Its failure is told where the run is followed.
  if (training?.live) training.run.stop().catch(() => undefined)
})
buttons.goOn.addEventListener('click', () => {
  if (!kept || !isOn(buttons.goOn)) return
  const { request, before } = kept
  trained ??= before
  form.fill(request)
  void train({ request, before }, true)
})
buttons.forget.addEventListener('click', async () => {
  await training?.run.forget()
  await drop(kept)
  kept = undefined
  showButtons()
  say('The run is forgotten.')
  buttons.train.focus()
})
byId('try-form', HTMLFormElement).addEventListener('submit', (event) => {
  event.preventDefault()
  void doTask(tryNow)
})
prompt.addEventListener('keydown', (event) => {
  if (event.key === 'Enter' && (event.ctrlKey || event.metaKey)) prompt.form?.requestSubmit()
})
buttons.measure.addEventListener('click', () => void doTask(measureNow))
buttons.stopTask.addEventListener('click', () => task?.abort())
document.addEventListener('visibilitychange', () => training?.visibility(document.hidden))
showButtons()
worksOffline()
void recall().then((found) => {
  kept = found
  showButtons()
})
