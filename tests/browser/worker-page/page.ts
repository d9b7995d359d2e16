// The page of worker.test.ts.
import * as inPage from '../../../src/index.js'
import type { WorkerLoadOptions } from '../../../src/worker/index.js'
import * as inWorker from '../../../src/worker/index.js'

const IDS = [1, 20, 30, 40, 50, 60]
const GREEDY = { temperature: 0, ignoreEos: true, maxTokens: 24 }

type Place = 'page' | 'worker' | 'shared'

function options(place: Place): WorkerLoadOptions {
  return place === 'shared' ? { worker: shared() } : {}
}

/** The same worker every time, and a port of its own to it. */
function shared(): SharedWorker {
  return new SharedWorker(new URL('./own-worker.ts', import.meta.url), { type: 'module' })
}

function load(place: Place, model = './tiny/'): Promise<inPage.Model> {
  const { loadModel } = place === 'page' ? inPage : inWorker
  return loadModel(model, { store: false, ...options(place) })
}

async function run(place: Place) {
  await using model = await load(place)
  using session = model.createSession({ policy: 'skipgpt', margins: true })
  const steps: { text: string; executed: number[] }[] = []
  for await (const { text, executed } of session.generate(IDS, GREEDY)) steps.push({ text, executed: [...executed] })
  const { timings: _, ...stats } = session.stats()
  const refused = await failure(session.generate([99_999]).next())
  return { steps, tokens: session.tokens, trace: session.trace(), stats, refused }
}

async function failure(promise: Promise<unknown>): Promise<string> {
  return promise.then(
    () => 'no failure',
    (error: unknown) => (error instanceof inPage.SkipstoneError ? error.code : String(error)),
  )
}

/** What becomes of a model whose chat template never ends, and of the page's other models. */
async function hang() {
  await using other = await load('worker')
  await using model = await inWorker.loadModel('./hanging/', { store: false, patienceMs: 2000 })
  const render = model.text.render([{ role: 'user', content: 'Hello' }])
  const [rendered, before] = await Promise.all([failure(render), failure(other.text.encode(''))])
  return {
    rendered,
    later: await failure(model.createSession().append(IDS)),
    before,
    other: await failure(other.text.encode('')),
  }
}

/** Bytes on the GPU of a shared worker's model: with one page, with another that has a session, and after that one is gone. */
async function gone() {
  await using model = await load('shared')
  const alone = model.gpuBytes
  const frame = document.createElement('iframe')
  frame.src = `${location.pathname}?visitor`
  document.body.append(frame)
  await new Promise((resolve) => addEventListener('message', resolve, { once: true }))
  const settled = async () => {
    await model.text.encode('')
    using session = model.createSession()
    await session.append(IDS)
    return model.gpuBytes
  }
  const together = await settled()
  frame.remove()
  let after = together
  for (let i = 0; i < 100 && after === together; i++) {
    await new Promise((resolve) => setTimeout(resolve, 50))
    after = await settled()
  }
  return { alone, together, after }
}

/** The longest task of the main thread while a model is loaded and runs, in ms; 0 where none took more than 50. */
async function longest(model: string) {
  let longest = 0
  const observer = new PerformanceObserver((list) => {
    for (const { duration } of list.getEntries()) longest = Math.max(longest, duration)
  })
  observer.observe({ type: 'longtask' })
  await using loaded = await inWorker.loadModel(model, { routers: `${model}skipgpt-25/` })
  using session = loaded.createSession({ policy: 'skipgpt' })
  let text = ''
  for await (const step of session.generate('Once upon a time', { maxTokens: 40 })) text += step.text
  observer.disconnect()
  return { longest, text }
}

if (location.search === '?visitor') {
  const model = await load('shared')
  const session = model.createSession()
  await session.append(IDS)
  parent.postMessage('here', location.origin)
} else {
  Object.assign(window, {
    skipstoneHost: { run, hang, gone, longest, failLoad: (place: Place) => failure(load(place, './not-there/')) },
  })
}
