import { expect, it, vi } from 'vitest'
import type { Session, Step } from '../../src/index.js'
import { liveDevices } from '../fixtures/dawn.js'
import { randomIds } from '../fixtures/tiny-model.js'
import { describeSdk, expectError, generated, PLAIN } from './support.js'

const IDS = randomIds(14, 81)

/** Reads steps until `tokens` tokens have come, then calls `then` and goes on. */
async function during(session: Session, tokens: number, then: () => void, options = {}): Promise<number[]> {
  const delivered: number[] = []
  for await (const step of session.generate(IDS, { ...PLAIN, maxTokens: 60, ...options })) {
    if (step.kind !== 'token') continue
    delivered.push(step.token)
    if (delivered.length === tokens) then()
  }
  return delivered
}

describeSdk.anywhere('interruptions', (bench) => {
  const undisturbed = async (tokens = 60) => {
    using session = bench().session({ policy: 'skipgpt' })
    const { text, tokens: all } = await generated(session, IDS, { maxTokens: tokens })
    return { text, tokens: all, trace: session.trace() }
  }

  it('abort before the prompt leaves the conversation as it was', async () => {
    using session = bench().session()
    await generated(session, IDS, { maxTokens: 5 })
    const before = [...session.tokens]
    await expectError(generated(session, [7], { signal: AbortSignal.abort() }), 'aborted')
    expect(session.tokens).toEqual(before)
    await bench().stillWorks()
  })

  it('abort between two chunks of a prompt leaves the conversation as it was', async () => {
    using session = bench().session({ policy: 'skipgpt' })
    const first = await generated(session, IDS, { maxTokens: 8 })
    const before = [...session.tokens]
    const { counters } = await bench().engine()
    const submits = counters.submits
    const controller = new AbortController()
    const running = generated(session, randomIds(1200), { signal: controller.signal })
    const watch = setInterval(() => counters.submits > submits && controller.abort(new Error('enough')))
    await expectError(running, 'aborted')
    clearInterval(watch)
    expect(counters.submits - submits, 'some chunks, not all three').toBeLessThan(3)
    expect(session.tokens).toEqual(before)
    const { tokens } = await generated(session, [], { maxTokens: 20 })
    expect([...first.tokens, ...tokens]).toEqual((await undisturbed()).tokens.slice(0, 28))
    expect(session.trace()).toEqual({
      ...(await undisturbed(28)).trace,
    })
  })

  it.each([1, 4, undefined])('abort while tokens come keeps those delivered (%s steps per submit)', async (steps) => {
    using session = bench().session({ policy: 'skipgpt' })
    const controller = new AbortController()
    const delivered: number[] = []
    const running = (async () => {
      const options = { ...PLAIN, maxTokens: 60, signal: controller.signal, stepsPerSubmit: steps }
      for await (const step of session.generate(IDS, options)) {
        if (step.kind === 'token') delivered.push(step.token)
        if (delivered.length === 11) controller.abort()
      }
    })()
    await expectError(running, 'aborted')
    expect(delivered).toHaveLength(11)
    expect(session.tokens).toEqual([...IDS, ...delivered])
    expect(session.stats().positions).toBe(IDS.length + 10)
    const { tokens } = await generated(session, [], { maxTokens: 49 })
    const expected = await undisturbed()
    expect([...delivered, ...tokens]).toEqual(expected.tokens)
    expect(session.trace()).toEqual(expected.trace)
  })

  it('leaving the loop keeps what was delivered', async () => {
    using session = bench().session({ policy: 'skipgpt' })
    const delivered: number[] = []
    for await (const step of session.generate(IDS, { ...PLAIN, maxTokens: 60 })) {
      if (step.kind === 'token') delivered.push(step.token)
      if (delivered.length === 23) break
    }
    expect(session.tokens).toEqual([...IDS, ...delivered])
    const { prompt, tokens } = await generated(session, [], { maxTokens: 37 })
    // Only the last token was not in the cache.
    expect(prompt).toMatchObject({ tokens: [delivered[22]], position: IDS.length + 22 })
    const expected = await undisturbed()
    expect([...delivered, ...tokens]).toEqual(expected.tokens)
    expect(session.trace()).toEqual(expected.trace)
  })

  it('leaving the loop at the prompt, or not entering it', async () => {
    using session = bench().session({ policy: 'skipgpt' })
    session.generate(IDS)
    expect(session.tokens).toEqual([])
    for await (const step of session.generate(IDS, PLAIN)) {
      expect(step.kind).toBe('prompt')
      break
    }
    expect(session.tokens).toEqual(IDS)
    expect(session.stats().positions).toBe(IDS.length)
    const { tokens } = await generated(session, [], { maxTokens: 20 })
    expect(tokens).toEqual((await undisturbed(20)).tokens)
  })

  it('busy', async () => {
    using session = bench().session()
    const running = session.generate(IDS, { ...PLAIN, maxTokens: 20 })
    const first = running.next()
    await expectError(generated(session, [5]), 'busy')
    await first
    await expectError(generated(session, [5]), 'busy')
    await expectError(session.chat([{ role: 'user', content: 'x' }]).next(), 'busy')
    await expectError(() => session.rewind(1), 'busy')
    const rest: Step[] = []
    for await (const step of running) rest.push(step)
    expect(rest.at(-1)!.kind).toBe('end')
    await generated(session, [5], { maxTokens: 2 })
  })

  it('disposed: before, inside the loop, and while a step is awaited', async () => {
    const baseline = await bench().gpuBytes()
    const session = bench().session({ policy: 'skipgpt' })
    session.dispose()
    session.dispose()
    await expectError(generated(session, IDS), 'disposed')
    await expectError(() => session.rewind(0), 'disposed')

    for (const stepsPerSubmit of [1, 8]) {
      const inside = bench().session({ policy: 'skipgpt' })
      await expectError(
        during(inside, 3, () => inside.dispose(), { stepsPerSubmit }),
        'disposed',
      )
      await vi.waitFor(async () => expect(await bench().gpuBytes()).toBe(baseline))
    }

    const awaited = bench().session({ policy: 'forced' })
    const steps = awaited.generate(IDS, PLAIN)
    const first = steps.next()
    awaited.dispose()
    await expectError(first, 'disposed')
    await vi.waitFor(async () => expect(await bench().gpuBytes()).toBe(baseline))

    const late = bench().session({ policy: 'forced' })
    const running = late.generate(randomIds(900), PLAIN)
    const prompt = running.next()
    await new Promise((resolve) => setTimeout(resolve, 30))
    late.dispose()
    await expectError(prompt, 'disposed')
    await vi.waitFor(async () => expect(await bench().gpuBytes()).toBe(baseline))
    await bench().stillWorks()
  })

  it('a model that is disposed of takes its sessions with it', async () => {
    const { model } = await bench().load()
    const session = model.createSession()
    await expectError(
      during(session, 2, () => model.dispose()),
      'disposed',
    )
    await expect.poll(() => model.gpuBytes).toBe(0)
    await expectError(generated(session, IDS), 'disposed')
    await expectError(() => model.createSession(), 'disposed')
    await expectError(model.evaluate([IDS]), 'disposed')
    model.dispose()

    const { model: other } = await bench().load()
    const evaluating = other.evaluate([randomIds(900), randomIds(900)])
    await new Promise((resolve) => setTimeout(resolve, 20))
    other.dispose()
    await expectError(evaluating, 'disposed')
    await bench().stillWorks()
  })

  it('evaluation stops on abort', async () => {
    const controller = new AbortController()
    const evaluating = bench().model.evaluate(
      Array.from({ length: 30 }, () => randomIds(200)),
      { signal: controller.signal, onProgress: (done) => done === 2 && controller.abort() },
    )
    await expectError(evaluating, 'aborted')
    await bench().stillWorks()
  })

  it('a lost device: the call fails, the next one replays the conversation on a new device', async () => {
    const lossesTold: string[] = []
    const { model, engine } = await bench().load({ onDeviceLost: (message) => lossesTold.push(message) })
    const session = model.createSession({ policy: 'skipgpt' })
    const before = liveDevices()
    const delivered: number[] = []
    const lost = await engine()
    const running = (async () => {
      for await (const step of session.generate(IDS, { ...PLAIN, maxTokens: 60 })) {
        if (step.kind === 'token') delivered.push(step.token)
        if (delivered.length === 17) lost.gpu.device.destroy()
      }
    })()
    await expectError(running, 'device-lost')
    expect(delivered.length).toBeGreaterThanOrEqual(17)
    expect(session.tokens).toEqual([...IDS, ...delivered])
    const { prompt, tokens } = await generated(session, [], { maxTokens: 60 - delivered.length })
    expect(prompt.tokens).toEqual([...IDS, ...delivered])
    const expected = await undisturbed()
    expect([...delivered, ...tokens]).toEqual(expected.tokens)
    expect(session.trace()).toEqual(expected.trace)
    expect((await engine()).gpu).not.toBe(lost.gpu)
    expect(lossesTold).toHaveLength(1)
    expect(lossesTold[0]).toMatch(/GPU device was lost/)
    await expect.poll(() => liveDevices()).toBe(before)
    model.dispose()
    await expect.poll(() => model.gpuBytes).toBe(0)
    await bench().stillWorks()
  })

  it('a device that is lost between calls, with several callers at once, is opened once', async () => {
    const before = liveDevices()
    const { model, engine } = await bench().load()
    const sessions = [1, 2, 3].map(() => model.createSession({ policy: 'skipgpt' }))
    for (const session of sessions) await generated(session, IDS, { maxTokens: 10 })
    ;(await engine()).gpu.device.destroy()
    await new Promise((resolve) => setTimeout(resolve, 20))
    const runs = await Promise.all(sessions.map((session) => generated(session, [], { maxTokens: 10 })))
    const expected = (await undisturbed(20)).tokens.slice(10)
    for (const { tokens } of runs) expect(tokens).toEqual(expected)
    await expect.poll(() => liveDevices()).toBe(before + 1)
    model.dispose()
    await new Promise((resolve) => setTimeout(resolve, 20))
    await expect.poll(() => liveDevices()).toBe(before)
  })

  it('a device that is lost while a prompt is read leaves the conversation as it was', async () => {
    const { model, engine } = await bench().load()
    const session = model.createSession({ policy: 'skipgpt' })
    await generated(session, IDS, { maxTokens: 10 })
    const before = [...session.tokens]
    const { gpu: device } = await engine()
    const running = generated(session, randomIds(1100))
    setTimeout(() => device.device.destroy())
    await expectError(running, 'device-lost')
    expect(session.tokens).toEqual(before)
    const { tokens } = await generated(session, [], { maxTokens: 10 })
    expect(tokens).toEqual((await undisturbed(20)).tokens.slice(10))
    model.dispose()
  })
})
