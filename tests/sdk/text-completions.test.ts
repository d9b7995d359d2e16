import OpenAI from 'openai'
import { expect, it } from 'vitest'
import { openAiFetch, type TextCompletion, type TextRequest } from '../../src/index.js'
import { TextEntries } from '../../src/sdk/openai/text-logprobs.js'
import { describeSdk, expectError, generated } from './support.js'

const PROMPT = 'abc defg, hijk lmno'

describeSdk.anywhere('OpenAI-shaped text completions', (bench) => {
  const create = (changes: Partial<TextRequest>) =>
    bench().model.completions.create({
      prompt: PROMPT,
      max_tokens: 8,
      temperature: 0,
      ...changes,
    }) as Promise<TextCompletion>
  const choice = async (changes: Partial<TextRequest>) => (await create(changes)).choices[0]!

  it('tell how probable every token was', async () => {
    const { text, logprobs } = await choice({ logprobs: 3 })
    expect(text).toBe((await choice({})).text)
    const { tokens, token_logprobs: own, top_logprobs: top, text_offset: offsets } = logprobs!
    expect(tokens.join('')).toBe(text)
    expect(offsets).toEqual(tokens.map((_, i) => tokens.slice(0, i).join('').length))
    using session = bench().session()
    const { steps } = await generated(session, PROMPT, { maxTokens: 8, logprobs: 3, ignoreEos: false })
    const expected = steps.flatMap((step) => (step.kind === 'token' ? [step.logprobs!] : []))
    expect(own).toEqual(expected.map(({ logprob }) => logprob))
    // The request is greedy: what was chosen is the best.
    expect(top).toEqual(expected.map((one) => Object.fromEntries(one.top.map((other) => [other.text, other.logprob]))))
  })

  it('tell of the chosen token even where others are more probable', async () => {
    const { logprobs } = await choice({ logprobs: 0, temperature: 1.5, seed: 3 })
    expect(logprobs!.top_logprobs).toEqual(
      logprobs!.tokens.map((token, i) => ({ [token]: logprobs!.token_logprobs[i] })),
    )
    const { logprobs: varied } = await choice({ logprobs: 1, temperature: 3, seed: 3 })
    expect(varied!.top_logprobs.map((top) => Object.keys(top!).length)).toContain(2)
  })

  it('begin with the prompt where that is asked for', async () => {
    const { text } = await choice({})
    expect(await choice({ echo: true })).toMatchObject({ text: PROMPT + text, logprobs: null })
    const { logprobs, ...echoed } = await choice({ echo: true, logprobs: 2 })
    expect(echoed.text).toBe(PROMPT + text)
    const { tokens, token_logprobs: own, top_logprobs: top, text_offset: offsets } = logprobs!
    // BOS is no part of the text.
    expect(tokens).toEqual(['<s>', ...PROMPT, ...text])
    expect(offsets).toEqual([0, ...Array.from(PROMPT + text, (_, i) => i)])
    expect([own[0], top[0]]).toEqual([null, null])
    using session = bench().session()
    const { prompt } = await generated(session, PROMPT, { maxTokens: 1, promptLogprobs: 2 })
    expect(own.slice(0, 1 + PROMPT.length)).toEqual(prompt.logprobs!.map((one) => one?.logprob ?? null))
  })

  it('are the prompt alone where no token may follow: how probable a text is', async () => {
    const whole = await create({ echo: true, max_tokens: 0, logprobs: 1 })
    expect(whole.choices[0]).toMatchObject({ text: PROMPT, finish_reason: 'length' })
    expect(whole.usage).toMatchObject({ prompt_tokens: 1 + PROMPT.length, completion_tokens: 0 })
    const own = whole.choices[0]!.logprobs!.token_logprobs
    expect(own).toEqual((await choice({ echo: true, logprobs: 1 })).logprobs!.token_logprobs.slice(0, own.length))
    const ids = await bench().model.text.encode(PROMPT)
    const { nll } = await bench().model.evaluate([ids])
    const sum = own.slice(1).reduce<number>((total, logprob) => total + logprob!, 0)
    expect(-sum / PROMPT.length).toBeCloseTo(nll, 4)
    const routed = await choice({ echo: true, max_tokens: 0, logprobs: 1, policy: 'skipgpt' })
    expect(routed.logprobs!.token_logprobs).not.toEqual(own)
    await bench().stillWorks()
  })

  it('take token ids, and lists of one', async () => {
    const { text } = await choice({})
    const ids = await bench().model.text.encode(PROMPT)
    for (const prompt of [ids, [ids], [PROMPT]] as TextRequest['prompt'][])
      expect((await choice({ prompt })).text).toBe(text)
    expect(await choice({ prompt: ids, echo: true, logprobs: 1 })).toEqual(await choice({ echo: true, logprobs: 1 }))
  })

  it('stream the same, and leave out what a stop string takes back', async () => {
    const { text, logprobs } = await choice({ echo: true, logprobs: 2 })
    const client = new OpenAI({ baseURL: 'http://local/v1', apiKey: 'none', fetch: openAiFetch(bench().model) })
    const request = { model: 'tiny', prompt: PROMPT, max_tokens: 8, temperature: 0, echo: true, logprobs: 2 }
    const lists = { text: '', tokens: [] as string[], own: [] as (number | null)[], offsets: [] as number[] }
    for await (const { choices } of await client.completions.create({ ...request, stream: true })) {
      lists.text += choices[0]!.text
      lists.tokens.push(...(choices[0]!.logprobs?.tokens ?? []))
      lists.own.push(...(choices[0]!.logprobs?.token_logprobs ?? []))
      lists.offsets.push(...(choices[0]!.logprobs?.text_offset ?? []))
    }
    const { tokens, token_logprobs: own, text_offset: offsets } = logprobs!
    expect(lists).toEqual({ text, tokens, own, offsets })
    // Penalised, the text has no two characters twice, so that some are left before a stop string.
    const varied = { presence_penalty: 2, frequency_penalty: 2 }
    const all = (await choice(varied)).text
    const stopped = await choice({ ...varied, stop: all.slice(3, 5), echo: true, logprobs: 0 })
    expect(stopped.text).toBe(PROMPT + all.slice(0, 3))
    expect(stopped.logprobs!.tokens.slice(1).join('')).toBe(stopped.text)
  })

  it.each([
    ['bad-option', { prompt: 3 }],
    ['bad-option', { prompt: [] }],
    ['bad-option', { prompt: [1, 'a'] }],
    ['bad-option', { prompt: [1, 5000] }],
    ['bad-option', { prompt: '', max_tokens: 1, echo: true }],
    ['bad-option', { prompt: ['a', 3] }],
    ['bad-option', { max_tokens: 0 }],
    ['bad-option', { echo: 'yes' }],
    ['bad-option', { echo: true, overflow: 'slide' }],
    ['bad-option', { logprobs: true }],
    ['bad-option', { logprobs: 21 }],
    ['unsupported', { top_logprobs: 2 }],
    ['bad-option', { n: 0 }],
    ['unsupported', { suffix: 'z' }],
  ])('refuse with %s: %j', async (code, wrong) => {
    await expectError(create(wrong as Partial<TextRequest>), code)
  })
})

it('spells tokens that hold a part of a character by their bytes, and knows where each begins', () => {
  const entries = new TextEntries()
  const written = [[0xe6, 0x97], [0xa5], [0x20, 0x61], [0xc3], [0xa9, 0x62]].map((bytes, token) => ({
    token,
    logprob: -1,
    text: new TextDecoder().decode(Uint8Array.from(bytes)),
    bytes: Uint8Array.from(bytes),
    top: [],
  }))
  expect(written.map((one) => entries.next(one)).map(({ token, offset }) => [token, offset])).toEqual([
    ['bytes:\\xe6\\x97', 0],
    ['bytes:\\xa5', 0],
    [' a', 1],
    ['bytes:\\xc3', 3],
    ['bytes:\\xa9\\x62', 3],
  ])
})
