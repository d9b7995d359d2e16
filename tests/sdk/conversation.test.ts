import { describe, expect, it } from 'vitest'
import { type ChatMessage, type GenerateOptions, loadModel, type Session } from '../../src/index.js'
import { executed } from '../../src/runtime/records.js'
import { json, randomIds, tinyModel } from '../fixtures/tiny-model.js'
import { type Bench, type Collected, collect, describeSdk, expectError, generated, PLAIN } from './support.js'

const IDS = randomIds(14, 91)

/** What a fresh session gives for the whole text. */
async function fresh(bench: Bench, ids: readonly number[], options?: GenerateOptions): Promise<Collected> {
  using session = bench.session({ policy: 'skipgpt' })
  return await generated(session, ids, options)
}

/** Everything that a session shows of its past must fit together. */
function expectConsistent(session: Session): void {
  const { steps } = session.trace()
  expect(session.stats().positions).toBe(steps.length)
  expect(steps.map(({ token }) => token)).toEqual(session.tokens.slice(0, steps.length))
  const skipped = steps.flatMap(({ attention, mlp }) => [...attention, ...mlp]).filter((bit) => bit === '0').length
  expect(session.stats().skip.total).toBeCloseTo(steps.length === 0 ? 0 : skipped / (6 * steps.length), 12)
}

describeSdk.anywhere('conversations', (bench, gpu) => {
  const open = (options = {}) => bench().session({ policy: 'skipgpt', ...options })

  it('delivers a prompt, tokens and an end, with positions and bits that the trace repeats', async () => {
    using session = open({ margins: true })
    const { prompt, steps, end, tokens, text } = await generated(session, IDS, { maxTokens: 20, logits: true })
    expect(steps.map(({ kind }) => kind)).toEqual(['prompt', ...Array(20).fill('token'), 'end'])
    expect(prompt).toMatchObject({ tokens: IDS, position: 0, text: '' })
    expect(prompt.executed).toHaveLength(IDS.length)
    expect(prompt.margins).toHaveLength(6 * IDS.length)
    expect(prompt.logits).toHaveLength(100)
    expect(prompt.logits!.indexOf(Math.max(...prompt.logits!))).toBe(tokens[0])
    expect(end).toMatchObject({ finishReason: 'length', tokens })
    const trace = session.trace()
    expect(trace.steps).toHaveLength(IDS.length + 19)
    let i = 0
    for (const step of steps) {
      if (step.kind !== 'token') continue
      expect(step.position).toBe(IDS.length - 1 + i++)
      const { attention, mlp, marginAttention, marginMlp } = trace.steps[step.position]!
      for (let layer = 0; layer < 3; layer++) {
        expect(executed(step.executed, 2 * layer)).toBe(attention[layer] === '1')
        expect(executed(step.executed, 2 * layer + 1)).toBe(mlp[layer] === '1')
        expect(step.margins![2 * layer]).toBe(marginAttention![layer])
        expect(step.margins![2 * layer + 1]).toBe(marginMlp![layer])
        expect(step.margins![2 * layer]! >= 0).toBe(attention[layer] === '1')
      }
    }
    expectConsistent(session)
    const { text: codec } = bench().model
    expect(text).toBe(
      await codec.decode(
        tokens.filter((id) => id < 98),
        { skipSpecialTokens: true },
      ),
    )
    const { timings } = session.stats()
    expect(timings!.prefillMs).toBeGreaterThan(0)
    expect(timings!.decodeTokensPerSecond).toBeGreaterThan(0)
  })

  it('writes those special tokens that are asked for', async () => {
    const unknown = { maxTokens: 3, logitBias: { 0: 100 } }
    const texts = [undefined, ['<s>'], ['<unk>', '<none>']].map(async (specialTokens) => {
      using session = open()
      return (await generated(session, IDS, { ...unknown, ...(specialTokens && { specialTokens }) })).text
    })
    expect(await Promise.all(texts)).toEqual(['', '', '<unk><unk><unk>'])
  })

  it('gives a first text BOS, and later ones none', async () => {
    using session = open()
    const first = await generated(session, 'Hello', { maxTokens: 3 })
    const { text: codec } = bench().model
    expect(first.prompt.tokens).toEqual([1, ...(await codec.encode('Hello', { addSpecialTokens: false }))])
    const second = await generated(session, ' you', { maxTokens: 3 })
    expect(second.prompt.tokens).toEqual([
      first.tokens[2],
      ...(await codec.encode(' you', { addSpecialTokens: false })),
    ])
  })

  it('feeds only what the cache does not hold', async () => {
    using session = open()
    const first = await generated(session, IDS, { maxTokens: 12 })
    const second = await generated(session, [40, 41, 42], { maxTokens: 12 })
    expect(second.prompt.tokens).toEqual([first.tokens[11], 40, 41, 42])
    expect(second.prompt.position).toBe(IDS.length + 11)
    expect(second.prompt.executed).toHaveLength(4)
    expect(second.tokens).toEqual(
      (await fresh(bench(), [...IDS, ...first.tokens, 40, 41, 42], { maxTokens: 12 })).tokens,
    )
    expectConsistent(session)
  })

  it('stops at a stop token, which is no part of it, and goes on behind it', async () => {
    const free = (await fresh(bench(), IDS, { maxTokens: 40 })).tokens
    const at = free.findIndex((token, i) => i > 17 && free.indexOf(token) === i)
    const tiny = tinyModel()
    tiny.files.set('generation_config.json', json({ eos_token_id: [2, free[at]] }))
    const model = await loadModel(tiny.source, { gpu: gpu() })
    for (const stepsPerSubmit of [1, 7, undefined]) {
      using session = model.createSession({ policy: 'skipgpt' })
      const options = { maxTokens: 40, temperature: 0, ignoreEos: false, stepsPerSubmit }
      const { end, tokens } = await generated(session, IDS, options)
      expect(end).toMatchObject({ finishReason: 'stop', tokens: free.slice(0, at) })
      expect(tokens).toEqual(free.slice(0, at))
      expect(session.tokens).toEqual([...IDS, ...tokens])
      expect(session.stats().positions).toBe(IDS.length + at)
      expectConsistent(session)
      const next = await generated(session, [60], { maxTokens: 8 })
      expect(next.prompt.tokens).toEqual([60])
      expect(next.tokens).toEqual((await fresh(bench(), [...IDS, ...tokens, 60], { maxTokens: 8 })).tokens)
    }
    model.dispose()
  })

  describe('stop strings', () => {
    it.each([1, 8, undefined])('end the text, and are not part of it (%s steps per submit)', async (stepsPerSubmit) => {
      const free = await fresh(bench(), IDS, { maxTokens: 60 })
      const { text: codec } = bench().model
      const lengths = await Promise.all(
        free.tokens.map(async (id) => (id < 98 ? (await codec.decode([id])).length : 0)),
      )
      for (const length of [1, 2, 5]) {
        const stop = free.text.slice(20, 20 + length)
        const at = free.text.indexOf(stop)
        let end = 0
        const kept = lengths.findIndex((n) => {
          end += n
          return end > at
        })
        using session = open()
        const run = await generated(session, IDS, { maxTokens: 60, stop: ['never this', stop], stepsPerSubmit })
        expect(run.text).toBe(free.text.slice(0, at))
        expect(run.end).toMatchObject({ finishReason: 'stop', tokens: free.tokens.slice(0, kept) })
        expect(session.tokens).toEqual([...IDS, ...free.tokens.slice(0, kept)])
        expect(session.stats().positions).toBe(IDS.length + kept)
        expectConsistent(session)

        const next = await generated(session, [50, 51], { maxTokens: 10 })
        expect(next.prompt.tokens).toEqual([50, 51])
        const whole = await fresh(bench(), [...IDS, ...free.tokens.slice(0, kept), 50, 51], { maxTokens: 10 })
        expect(next.tokens).toEqual(whole.tokens)
        expectConsistent(session)
      }
    })

    it('that never come leave the text whole, their beginnings included', async () => {
      const free = await fresh(bench(), IDS, { maxTokens: 30 })
      using session = open()
      const run = await generated(session, IDS, { maxTokens: 30, stop: `${free.text.at(-1)}never` })
      expect(run.text).toBe(free.text)
      expect(run.end).toMatchObject({ finishReason: 'length', tokens: free.tokens, text: free.text.at(-1) })
    })
  })

  it.each([1, 8])('changes its policy in the midst of a text (%s steps per submit)', async (stepsPerSubmit) => {
    const options = { ...PLAIN, stepsPerSubmit }
    using session = bench().session({ policy: 'dense' })
    const tokens: number[] = []
    for await (const step of session.generate(IDS, { ...options, maxTokens: 60 })) {
      if (step.kind !== 'token') continue
      tokens.push(step.token)
      if (tokens.length === 10) await session.usePolicy('forced:skip=0.5,seed=3')
      if (tokens.length === 40) await session.usePolicy('skipgpt:delta=0.4')
    }
    const ran = session.trace().steps.map(({ attention, mlp }) => attention + mlp)
    const dense = ran.findIndex((bits) => bits.includes('0')) - IDS.length
    expect(dense).toBeGreaterThanOrEqual(9)
    expect(dense).toBeLessThan(10 + 2 * stepsPerSubmit + 1)

    // One after the other instead: how far each policy went shows in the bits.
    using other = bench().session({ policy: 'dense' })
    const again = (await generated(other, IDS, { maxTokens: dense + 1 })).tokens
    await other.usePolicy('forced:skip=0.5,seed=3')
    const all = () => other.trace().steps.map(({ attention, mlp }) => attention + mlp)
    let same = 0
    while (again.length < 60) {
      again.push(...(await generated(other, [], { maxTokens: 1 })).tokens)
      const last = all().length - 1
      if (same === 0 && all()[last] !== ran[last]) {
        same = last
        other.rewind(last + 1)
        again.pop()
        await other.usePolicy('skipgpt:delta=0.4')
      }
    }
    expect(same - IDS.length).toBeGreaterThanOrEqual(39)
    expect(again).toEqual(tokens)
    expect(all().slice(0, ran.length)).toEqual(ran)
    await expectError(session.usePolicy('magic'), 'unknown-policy')
    await expectError(session.usePolicy('skipgpt:budget=2'), 'bad-option')
    using copy = session.clone()
    expect((await generated(copy, [], { maxTokens: 5 })).tokens).toEqual(
      (await generated(session, [], { maxTokens: 5 })).tokens,
    )
    expectConsistent(session)
  })

  it('rewinds to any length', async () => {
    using session = open()
    const first = await generated(session, IDS, { maxTokens: 20 })
    const all = [...IDS, ...first.tokens]
    for (const length of [40, all.length, all.length - 1, 20, IDS.length, 3, 0]) {
      session.rewind(length)
      const left = all.slice(0, length)
      expect(session.tokens).toEqual(left)
      expectConsistent(session)
      const run = await generated(session, [33, 34], { maxTokens: 6 })
      expect(run.tokens).toEqual((await fresh(bench(), [...left, 33, 34], { maxTokens: 6 })).tokens)
      session.rewind(length)
    }
    for (const length of [-1, 1.5, Number.NaN]) await expectError(() => session.rewind(length), 'bad-option')
  })

  it('is added to without an answer', async () => {
    using session = open()
    const { tokens, position, executed: bits } = await session.append(IDS.slice(0, 9))
    expect({ tokens, position }).toEqual({ tokens: IDS.slice(0, 9), position: 0 })
    expect(bits).toHaveLength(9)
    expect(session.tokens).toEqual(IDS.slice(0, 9))
    expectConsistent(session)
    const { prompt, tokens: answer } = await generated(session, IDS.slice(9), { maxTokens: 8 })
    expect(prompt.position).toBe(9)
    expect(answer).toEqual((await fresh(bench(), IDS, { maxTokens: 8 })).tokens)
    await expectError(session.append(''), 'bad-option')
    await expectError(session.append([5], { signal: AbortSignal.abort() }), 'aborted')
    expect(session.contextLength).toBe(1280)
  })

  it('goes on in a clone as it does itself, each for itself', async () => {
    using session = open()
    await generated(session, IDS, { maxTokens: 5 })
    await using copy = session.clone()
    expect(copy.tokens).toEqual(session.tokens)
    expect(copy.trace()).toEqual(session.trace())
    const [a, b] = await Promise.all([
      generated(session, [7], { maxTokens: 6 }),
      generated(copy, [7], { maxTokens: 6 }),
    ])
    expect(b.tokens).toEqual(a.tokens)
    expect(b.prompt.position).toBe(a.prompt.position)
    expect(b.prompt.position).toBeGreaterThan(IDS.length)
    copy.rewind(3)
    expect(session.tokens.length).toBeGreaterThan(20)
    expectConsistent(session)
    expectConsistent(copy)
    // One that has fed nothing yet, and one whose cache has grown.
    using empty = open()
    using other = empty.clone()
    const long = randomIds(300, 92)
    expect((await generated(other, long, { maxTokens: 4 })).tokens).toEqual(
      (await fresh(bench(), long, { maxTokens: 4 })).tokens,
    )
    using grown = other.clone()
    expect((await generated(grown, [9], { maxTokens: 4 })).tokens).toEqual(
      (await generated(other, [9], { maxTokens: 4 })).tokens,
    )
    const generation = session.generate([4])
    await generation.next()
    await expectError(() => session.clone(), 'busy')
    await generation.return()
  })

  it('fills its context, and says so', async () => {
    using session = open({ contextLength: 40 })
    const { tokens, end } = await generated(session, IDS)
    expect(end.finishReason).toBe('length')
    // The last position's token cannot be fed, but it is there.
    expect(session.tokens).toHaveLength(41)
    expect(session.stats().positions).toBe(40)
    expect(tokens).toEqual((await fresh(bench(), IDS, { maxTokens: 27 })).tokens)
    await expectError(generated(session, []), 'context-full')
    await expectError(generated(session, [5]), 'context-full')
    expect(session.tokens).toHaveLength(41)
    session.rewind(39)
    const rest = await generated(session, [], { maxTokens: 9 })
    expect(rest.tokens).toEqual(tokens.slice(25))
    expectConsistent(session)
  })

  it('a prompt of exactly the context gives one token', async () => {
    using session = open({ contextLength: 14 })
    const { tokens, end } = await generated(session, IDS)
    expect(tokens).toHaveLength(1)
    expect(end.finishReason).toBe('length')
  })

  describe('chat', () => {
    const user = (content: string): ChatMessage => ({ role: 'user', content })
    const chat = (session: Session, messages: ChatMessage[]) =>
      collect(session.chat(messages, { ...PLAIN, maxTokens: 12 }))

    it('feeds only what is new, and equals a fresh session over the whole text', async () => {
      using session = open()
      const first = await chat(session, [user('Hi there')])
      const held = [...session.tokens]
      const messages = [user('Hi there'), { role: 'assistant', content: first.text }, user('More?')]
      const second = await chat(session, messages)

      const { text: codec } = bench().model
      const whole = await codec.encode(await codec.render(messages), { addSpecialTokens: false })
      const shared = Math.min(
        whole.findIndex((id, i) => id !== held[i]),
        held.length - 1,
      )
      expect(shared).toBeGreaterThanOrEqual(first.prompt.tokens.length)
      expect(second.prompt).toMatchObject({ position: shared, tokens: whole.slice(shared) })
      expect(session.tokens).toEqual([...whole, ...second.tokens])
      using other = open()
      expect((await chat(other, messages)).tokens).toEqual(second.tokens)
      expect(session.trace()).toEqual(other.trace())
      expectConsistent(session)
    })

    it('rewinds to what is shared where the beginning changes', async () => {
      using session = open()
      await chat(session, [user('Hello you')])
      const second = await chat(session, [user('Hello me')])
      expect(second.prompt.position).toBe('<s>[u]Hello '.length - 2)
      using other = open()
      expect((await chat(other, [user('Hello me')])).tokens).toEqual(second.tokens)
      expect(session.trace()).toEqual(other.trace())
    })

    it('repeats itself for the same messages', async () => {
      using session = open()
      const first = await chat(session, [user('Again')])
      const second = await chat(session, [user('Again')])
      expect(second.prompt.tokens).toHaveLength(1)
      expect(second.tokens).toEqual(first.tokens)
    })
  })
})
