import { afterAll, beforeAll, expect, it } from 'vitest'
import { languageModel, type Model } from '../../src/index.js'
import { describeWithGpu } from '../fixtures/dawn.js'
import { loadTiny } from '../fixtures/tiny-model.js'
import { expectError } from './support.js'

const SYSTEM = { role: 'system', content: 'be kind' } as const
const GREEDY = { temperature: 0 }

async function textOf(stream: ReadableStream<string>): Promise<string> {
  let text = ''
  for await (const piece of stream as unknown as AsyncIterable<string>) text += piece
  return text
}

describeWithGpu('the shape of the Prompt API', (gpu) => {
  let model: Model
  // Random weights hardly ever stop by themselves: answers fill the context.
  beforeAll(async () => {
    model = await loadTiny(gpu(), { checkpoint: { contextLength: 96 } })
  })
  afterAll(() => model?.dispose())

  const create = (options = {}) => languageModel(model).create({ ...GREEDY, initialPrompts: [SYSTEM], ...options })

  /** What `Session.chat` says to these messages, until its context is full or it stops. */
  async function expected(messages: { role: string; content: string }[]): Promise<string> {
    using session = model.createSession()
    let text = ''
    for await (const step of session.chat(messages, GREEDY)) text += step.text
    return text
  }

  it('runs code that was written for it', async () => {
    expect(await languageModel(model).availability()).toBe('available')
    expect(await languageModel(model).params()).toMatchObject({ maxTemperature: 2 })
    const progress: number[] = []
    const session = await create({
      monitor: (m: EventTarget) =>
        m.addEventListener('downloadprogress', (e) => progress.push((e as ProgressEvent).loaded)),
    })
    expect(progress).toEqual([0, 1])
    const first = await session.prompt('hi')
    expect(first).toBe(await expected([SYSTEM, { role: 'user', content: 'hi' }]))
    session.destroy()
    await expectError(session.prompt('again'), 'disposed')
  })

  it('streams, counts, and refuses what is no prompt', async () => {
    using session = await create()
    const before = session.contextUsage
    expect(before).toBeGreaterThan(5)
    const cost = await session.measureContextUsage('four')
    expect(cost).toBe(await session.measureInputUsage('four'))
    expect(cost).toBeGreaterThanOrEqual(4)
    await session.append([{ role: 'user', content: 'four' }])
    expect(session.contextUsage).toBe(before + cost)
    expect([session.inputUsage, session.inputQuota]).toEqual([session.contextUsage, session.contextWindow])
    await expectError(session.prompt([{ role: 'tool', content: 'x' }] as never), 'bad-option')
    await expectError(session.prompt(3 as never), 'bad-option')
    await expectError(
      session.prompt([{ role: 'user', content: [{ type: 'image', value: 'x' }] }] as never),
      'unsupported',
    )
    await expectError(create({ initialPrompts: [{ role: 'user', content: 'a' }, SYSTEM] }), 'bad-option')
  })

  it('aborts with the reason that was given, and forgets what was asked', async () => {
    using session = await create()
    const before = session.contextUsage
    const reason = new Error('enough')
    await expect(session.prompt('hi', { signal: AbortSignal.abort(reason) })).rejects.toBe(reason)
    const controller = new AbortController()
    const reader = session.promptStreaming('hi', { signal: controller.signal }).getReader()
    await reader.read()
    controller.abort(reason)
    await expect(
      (async () => {
        for (;;) if ((await reader.read()).done) return
      })(),
    ).rejects.toBe(reason)
    expect(session.contextUsage).toBe(before)
    const cancelled = session.promptStreaming('hi').getReader()
    await cancelled.read()
    await cancelled.cancel()
    expect(session.contextUsage).toBe(before)
  })

  it('remembers, clones, waits its turn, and drops the oldest where the context overflows', async () => {
    using session = await create()
    const overflows: string[] = []
    session.addEventListener('contextoverflow', ({ type }) => overflows.push(type))
    session.onquotaoverflow = ({ type }) => overflows.push(type)
    await session.append([
      { role: 'user', content: 'what is your name' },
      { role: 'assistant', content: 'i have none' },
    ])
    const used = session.contextUsage
    const clone = await session.clone()
    const [streamed, whole] = await Promise.all([textOf(session.promptStreaming('why')), clone.prompt('why')])
    expect(streamed).toBe(whole)
    expect(session.contextUsage).toBeGreaterThan(used)
    expect(overflows).toEqual([])
    // The answer filled the context: the next question needs the room of the first.
    await Promise.all([session.prompt('one'), session.prompt('two')])
    expect(new Set(overflows)).toEqual(new Set(['contextoverflow', 'quotaoverflow']))
    expect(session.contextUsage).toBeLessThanOrEqual(session.contextWindow)
    await expect(session.prompt('x'.repeat(200))).rejects.toMatchObject({ name: 'QuotaExceededError' })
    clone.destroy()
  })
})
