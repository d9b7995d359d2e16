import { describe, expect, it } from 'vitest'
import type { GenerateOptions } from '../../src/index.js'
import { fitPrompt, slid, withOtherFirst, withoutOldestTurn } from '../../src/sdk/overflow.js'
import type { ChatMessage } from '../../src/text/chat-template.js'
import { randomIds } from '../fixtures/tiny-model.js'
import { type Collected, collect, describeSdk, expectError, generated, PLAIN } from './support.js'

const CONTEXT = 24
const BOS = 1
/** As a text begins; longer than the context. */
const LONG = [BOS, ...randomIds(40, 17)]

describe('what is left out of a prompt', () => {
  const fitted = (overflow: 'truncate' | 'slide', maxTokens: number, length: number) =>
    fitPrompt({ tokens: LONG.slice(0, length), begins: [1] }, { overflow, maxTokens, contextLength: CONTEXT })

  it.each([
    // overflow, maxTokens, tokens before, tokens left
    ['truncate', 5, 20, 20],
    ['truncate', 5, 21, 20],
    ['truncate', 5, 41, 20],
    ['truncate', 1000, 30, 12],
    ['truncate', Number.POSITIVE_INFINITY, 24, 24],
    ['truncate', Number.POSITIVE_INFINITY, 25, 12],
    ['slide', 5, 24, 24],
    ['slide', 5, 25, 12],
  ] as const)('%s, %d tokens to come, %d tokens: %d stay', (overflow, maxTokens, before, after) => {
    const left = fitted(overflow, maxTokens, before)
    expect(left).toHaveLength(after)
    const begin = after < before ? [BOS] : []
    expect(left).toEqual([...begin, ...LONG.slice(before - after + begin.length, before)])
  })

  it.each([
    // begins, context, tokens left of how many first ones
    [[12, 1], 24, 12 + 6, 12],
    [[13, 1], 24, 12, 1],
    [[13], 24, 12, 0],
    [[1], 1, 1, 0],
    [[1], 2, 2, 1],
  ] as const)(
    'keeps the longest of the beginnings %j that a context of %d has room for',
    (begins, context, after, begin) => {
      const left = slid({ tokens: LONG.slice(0, context + 1), begins }, context)
      expect(left).toEqual([...LONG.slice(0, begin), ...LONG.slice(context + 1 - after + begin, context + 1)])
    },
  )

  it('finds where a chat’s first message begins, where that is a user’s', () => {
    const system = { role: 'system', content: 's' }
    const user = (content: string) => ({ role: 'user', content })
    expect(withOtherFirst([system, user(' xyz'), user('b')])).toEqual([system, user('y')])
    expect(withOtherFirst([user('hi')])).toEqual([user('x')])
    expect(withOtherFirst([system])).toBeUndefined()
    expect(withOtherFirst([system, { role: 'assistant', content: 'a' }])).toBeUndefined()
  })

  it('leaves out turns of a chat, oldest first, never its system message nor its last turn', () => {
    const roles = (messages: readonly ChatMessage[] | undefined) => messages?.map(({ content }) => content).join('')
    const chat = ['system s', 'user a', 'assistant b', 'user c', 'tool d', 'user e'].map((text) => {
      const [role, content] = text.split(' ') as [string, string]
      return { role, content }
    })
    const once = withoutOldestTurn(chat)
    expect(roles(once)).toBe('scde')
    expect(roles(withoutOldestTurn(once!))).toBe('se')
    expect(withoutOldestTurn(withoutOldestTurn(once!)!)).toBeUndefined()
    expect(withoutOldestTurn(chat.slice(0, 1))).toBeUndefined()
  })
})

describeSdk.anywhere('a context that is too small', (bench) => {
  const open = () => bench().session({ policy: 'skipgpt', contextLength: CONTEXT })
  const fresh = async (ids: readonly number[], maxTokens: number): Promise<Collected> => {
    using session = open()
    return await generated(session, ids, { maxTokens })
  }

  it('is an error where nothing else is asked for, and a word that is none too', async () => {
    using session = open()
    await expectError(generated(session, LONG, { maxTokens: 2 }), 'context-full')
    await expectError(generated(session, LONG, { maxTokens: 2, overflow: 'drop' as 'slide' }), 'bad-option')
    const { end } = await generated(session, LONG.slice(0, 20), { maxTokens: 50 })
    expect(end).toMatchObject({ finishReason: 'length' })
    expect(end.tokens).toHaveLength(5)
  })

  it('truncates the prompt, and generates as if that had been the prompt', async () => {
    using session = open()
    const left = [BOS, ...LONG.slice(-19)]
    const { prompt, tokens } = await generated(session, LONG, { maxTokens: 5, overflow: 'truncate' })
    expect(prompt).toMatchObject({ tokens: left, position: 0 })
    expect(tokens).toEqual((await fresh(left, 5)).tokens)
    expect(session.tokens).toEqual([...left, ...tokens])
    // The conversation goes on, and is truncated again.
    const next = await generated(session, [7, 8, 9], { maxTokens: 5, overflow: 'truncate' })
    expect(session.tokens).toEqual([BOS, ...left.slice(9), ...tokens, 7, 8, 9, ...next.tokens])
  })

  it('slides: goes on from the newest half, as often as it takes', async () => {
    using session = open()
    const prompt = LONG.slice(0, 10)
    const { steps, tokens, end } = await generated(session, prompt, { maxTokens: 50, overflow: 'slide' })
    const expected: number[] = []
    let text: readonly number[] = prompt
    const read: (readonly number[])[] = []
    while (expected.length < 50) {
      const part = await fresh(text, 50 - expected.length)
      read.push(text)
      expected.push(...part.tokens)
      text = [BOS, ...[...text, ...part.tokens].slice(-11)]
    }
    expect(read).toHaveLength(4)
    expect(tokens).toEqual(expected)
    expect(end).toMatchObject({ tokens: expected, finishReason: 'length' })
    const prompts = steps.flatMap((step) => (step.kind === 'prompt' ? [step] : []))
    // BOS is in the cache already.
    expect(prompts.map(({ position, tokens }) => [position, tokens])).toEqual(
      read.map((ids, i) => (i === 0 ? [0, ids] : [1, ids.slice(1)])),
    )
    expect(session.tokens.slice(-20)).toEqual(expected.slice(-20))
    expect(session.tokens.length).toBeLessThanOrEqual(CONTEXT + 1)
    const trace = session.trace()
    expect(trace.steps.map(({ token }) => token)).toEqual(session.tokens.slice(0, trace.steps.length))
    expect(session.stats().positions).toBe(trace.steps.length)
  })

  it('is what the session was made for, where a call does not say', async () => {
    using session = bench().session({ contextLength: CONTEXT, overflow: 'truncate' })
    const { prompt } = await generated(session, LONG, { maxTokens: 5 })
    expect(prompt.tokens).toEqual([BOS, ...LONG.slice(-19)])
    using copy = session.clone()
    expect((await copy.append([7, 8, 9])).tokens.slice(-3)).toEqual([7, 8, 9])
    await expectError(generated(copy, LONG, { maxTokens: 5, overflow: 'error' }), 'context-full')
    await expectError(() => bench().session({ overflow: 'drop' as 'slide' }), 'bad-option')
  })

  it('keeps the system message of a chat as long as there is room for it', async () => {
    const system = { role: 'system', content: 'be kind' }
    const begin = '[s]be kind[u]'
    const chat = async (contextLength: number, content: string, options: GenerateOptions) => {
      using session = bench().session({ contextLength })
      const { steps, tokens } = await collect(
        session.chat([system, { role: 'user', content }], { ...PLAIN, ...options }),
      )
      const read = await Promise.all(
        steps.flatMap((step) => (step.kind === 'prompt' ? [bench().model.text.decode(step.tokens)] : [])),
      )
      return { read, steps, tokens, kept: await bench().model.text.decode(session.tokens) }
    }
    const text = 'what do you say to an old friend'
    const { read } = await chat(40, text, { maxTokens: 5, overflow: 'truncate' })
    expect(read).toEqual([begin + `${text}[a]`.slice(-22)])
    const cut = await chat(24, text, { maxTokens: 5, overflow: 'truncate' })
    expect(cut.read).toEqual([`${text}[a]`.slice(-19)])
    const slides = await chat(40, 'hello', { maxTokens: 60, overflow: 'slide' })
    const prompts = slides.steps.flatMap((step) => (step.kind === 'prompt' ? [step] : []))
    const all = [...prompts[0]!.tokens, ...slides.tokens]
    expect(prompts).toHaveLength(4)
    for (const [i, { position, tokens }] of prompts.slice(1).entries()) {
      const end = 41 + 14 * i
      // 27 tokens stay of 41. BOS and the beginning are in the cache, and perhaps more that happens to be the same.
      expect(position).toBeGreaterThanOrEqual(14)
      expect(position + tokens.length).toBe(27)
      expect(tokens).toEqual(all.slice(end - tokens.length, end))
    }
    expect(slides.kept.slice(0, begin.length)).toBe(begin)
  })

  it('stops at a stop string behind a slide, and knows what it leaves', async () => {
    using session = open()
    const all = await generated(session, LONG.slice(0, 10), { maxTokens: 50, overflow: 'slide' })
    const at = Math.floor(all.text.length * 0.6)
    const stop = all.text.slice(at, at + 8)
    const first = all.text.indexOf(stop)
    session.rewind(0)
    const cut = await generated(session, LONG.slice(0, 10), { maxTokens: 50, overflow: 'slide', stop })
    expect(cut.text).toBe(all.text.slice(0, first))
    expect(cut.end.finishReason).toBe('stop')
    expect(cut.end.tokens).toEqual(all.tokens.slice(0, cut.end.tokens.length))
    const kept = cut.end.tokens.slice(-5)
    expect(session.tokens.slice(-5)).toEqual(kept)
    expect(session.stats().positions).toBeLessThanOrEqual(session.tokens.length)
  })
})
