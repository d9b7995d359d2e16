import { byId, isOn, setOn } from '../dom.js'
import { clearAlert, report, say } from '../messages.js'
import { checkWebGpu } from '../no-webgpu.js'
import { worksOffline } from '../offline.js'
import { Column } from './column.js'
import { type Comparison, compare, type Progress } from './comparison.js'
import { difference } from './difference.js'
import { differenceFigure, legend } from './difference-view.js'
import { resultsJson, save } from './export.js'
import { ModelShelf } from './models.js'
import { check } from './plan.js'
import { ProfilePanel, readProfileFile } from './profile-panel.js'
import { describeSetting, type Setting } from './setting.js'
import { StateForm } from './state-form.js'
import { sweepCharts } from './sweep-charts.js'
import { type ModelSweep, sweeps } from './sweeps.js'

const buttons = {
  compare: byId('compare', HTMLButtonElement),
  stop: byId('stop', HTMLButtonElement),
  copy: byId('copy-link', HTMLButtonElement),
  save: byId('save', HTMLButtonElement),
  sweep: byId('sweep', HTMLButtonElement),
}
const columnsBox = byId('columns', HTMLElement)
const maps = byId('maps', HTMLElement)
const chartBox = byId('chart', HTMLElement)
const detailLine = byId('detail', HTMLElement)

const hasWebGpu = checkWebGpu()
const form = new StateForm()
const models = new ModelShelf()
const progress: Progress = {
  step: say,
  detail: (text) => {
    detailLine.textContent = text
  },
}
let comparison: Comparison | undefined
let swept: ModelSweep[] | undefined
let running: AbortController | undefined
const profile = new ProfilePanel({
  calibrate: () => run(calibrate),
  open: (file) => run((signal) => openProfile(file, signal)),
  change: (changed) => {
    models.profile = changed
    showButtons()
  },
})

/** One thing at a time. Its failure is reported and leaves the page ready for the next. */
async function run(work: (signal: AbortSignal) => Promise<void>): Promise<void> {
  if (running || !hasWebGpu) return
  running = new AbortController()
  clearAlert()
  showButtons()
  try {
    await work(running.signal)
  } catch (error) {
    report(error)
  } finally {
    running = undefined
    progress.detail('')
    showButtons()
  }
}

function showButtons(): void {
  const idle = !running && hasWebGpu
  const any = comparison?.runs[0] !== undefined
  setOn(buttons.compare, idle)
  profile.show(idle)
  setOn(buttons.stop, running !== undefined)
  setOn(buttons.save, idle && any)
  setOn(buttons.sweep, idle && any)
}

async function runSettings(signal: AbortSignal): Promise<void> {
  const state = form.checked
  check(state)
  comparison = { state, runs: [] }
  swept = undefined
  chartBox.replaceChildren()
  maps.replaceChildren()
  const columns = state.settings.map((setting, i) => new Column(i, describeSetting(setting, state.address)))
  columnsBox.replaceChildren(...columns.map(({ element }) => element))
  byId('results', HTMLElement).hidden = false
  try {
    await compare(comparison, columns, models, signal, progress)
    say(`Done: ${columns.length} settings.`)
  } finally {
    showMaps(comparison)
  }
}

function showMaps({ state, runs }: Comparison): void {
  const [first, ...others] = runs
  if (!first) return
  const figures = others.flatMap((other, i) => {
    if (!other) return []
    const title = `Setting ${i + 2}: ${describeSetting(state.settings[i + 1]!, state.address)}`
    return [differenceFigure(title, difference(first.trace, other.trace), first.promptTokens)]
  })
  if (figures.length > 0) maps.replaceChildren(legend(), ...figures)
}

async function runSweep(signal: AbortSignal): Promise<void> {
  if (!comparison) return
  swept = await sweeps(comparison, models, signal, progress)
  chartBox.replaceChildren(...sweepCharts(swept))
  chartBox.scrollIntoView({ block: 'nearest' })
  say('Done: the charts are at the end of the page.')
}

async function calibrate(signal: AbortSignal): Promise<void> {
  const state = form.checked
  check(state)
  say('Skip profile: loading the model…')
  const model = await models.get(state.settings[0] as Setting, state.address, signal, progress.detail)
  say('Skip profile: measuring…')
  const onProgress = (done: number, all: number) => progress.detail(`${done} of ${all} parts of the text`)
  await profile.calibrate(model, state.prompt, { signal, onProgress })
  say('Done: policies go by the new skip profile.')
}

/** Loads the model with it, which says whether it is one of this model. */
async function openProfile(file: File, signal: AbortSignal): Promise<void> {
  const state = form.checked
  const before = models.profile
  say('Skip profile: loading the model with it…')
  try {
    models.profile = await readProfileFile(file)
    await models.get(state.settings[0] as Setting, state.address, signal, progress.detail)
  } catch (error) {
    models.profile = before
    throw error
  }
  profile.use(models.profile, `, from ${file.name}`)
  say('Done: policies go by the skip profile of the file.')
}

byId('compare-form', HTMLFormElement).addEventListener('submit', (event) => {
  event.preventDefault()
  run(runSettings)
})
buttons.sweep.addEventListener('click', () => {
  if (isOn(buttons.sweep)) run(runSweep)
})
buttons.stop.addEventListener('click', () => {
  if (!running) return
  say('Stopping…')
  running.abort()
})
buttons.copy.addEventListener('click', async () => {
  const link = form.link()
  try {
    await navigator.clipboard.writeText(link)
    say('The link is copied.')
  } catch {
    say('This browser does not let the page copy: the link is in the address bar.')
  }
})
buttons.save.addEventListener('click', () => {
  if (isOn(buttons.save) && comparison) save('skipstone-comparison.json', resultsJson(comparison, swept))
})
byId('prompt', HTMLTextAreaElement).addEventListener('keydown', (event) => {
  if (event.key === 'Enter' && (event.ctrlKey || event.metaKey)) buttons.compare.form?.requestSubmit()
})
showButtons()
worksOffline()
