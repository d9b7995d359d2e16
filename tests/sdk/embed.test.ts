import OpenAI from 'openai'
import { expect, it } from 'vitest'
import { openAiFetch } from '../../src/index.js'
import { rmsNorm } from '../../src/kernels/reference/rms-norm.js'
import { randomIds, tinyModel } from '../fixtures/tiny-model.js'
import { reference, referenceRouting } from '../runtime/support.js'
import { describeSdk, expectError } from './support.js'

/** More than two chunks of rows that are read together, and no multiple of them. */
const IDS = randomIds(151, 33)
const D = 32
const TINY = tinyModel()

/** [tokens, D]: the states behind the final norm, in f64. */
function statesOf(ids: readonly number[], skips: boolean): Float64Array {
  const { hidden } = reference(TINY).forward(ids, skips ? referenceRouting(TINY) : {})
  const norm = Float64Array.from(TINY.tensors.get('model.norm.weight')!.data)
  return rmsNorm(hidden.at(-1)!, norm, TINY.hub.rms_norm_eps as number, ids.length, D)
}

function row(states: Float64Array, index: number): number[] {
  return [...states.subarray(index * D, (index + 1) * D)]
}

function unit(vector: readonly number[]): number[] {
  const length = Math.hypot(...vector)
  return vector.map((value) => value / length)
}

function expectClose(actual: Float32Array, expected: readonly number[]): void {
  expect(actual).toHaveLength(expected.length)
  expect(Math.max(...expected.map((value, i) => Math.abs(value - actual[i]!)))).toBeLessThan(1e-4)
}

describeSdk.anywhere('embeddings', (bench) => {
  const model = () => bench().model

  it('are the states behind the final norm: of the last token, or their mean', async () => {
    const states = statesOf(IDS, false)
    expectClose(await model().embed(IDS, { normalise: false }), row(states, IDS.length - 1))
    expectClose(await model().embed(IDS), unit(row(states, IDS.length - 1)))
    const mean = Array.from({ length: D }, (_, i) =>
      IDS.reduce((sum, _, t) => sum + states[t * D + i]! / IDS.length, 0),
    )
    expectClose(await model().embed(IDS, { pooling: 'mean', normalise: false }), mean)
  })

  it('obey a policy, and each text begins anew', async () => {
    const [long, short] = await model().embed([IDS, IDS.slice(0, 9)], { policy: 'skipgpt', normalise: false })
    expectClose(long!, row(statesOf(IDS, true), IDS.length - 1))
    expectClose(short!, row(statesOf(IDS.slice(0, 9), true), 8))
  })

  it('take texts with their special tokens, and tell how far they are', async () => {
    const done: number[] = []
    const options = { onProgress: (texts: number) => done.push(texts) }
    const [text, other] = await model().embed(['Hello', 'Hello!'], options)
    expect(done).toEqual([1, 2])
    expect(text).toEqual(await model().embed(await model().text.encode('Hello')))
    expect(other).not.toEqual(text)
  })

  it('come in OpenAI’s shape, from the official client', async () => {
    const client = new OpenAI({ baseURL: 'http://local/v1', apiKey: 'none', fetch: openAiFetch(model()) })
    const input = ['Hello', 'you']
    const expected = await model().embed(input, { pooling: 'mean' })
    // The client asks for base64 where it is not told otherwise.
    for (const format of [{}, { encoding_format: 'float' as const }]) {
      const { data, usage } = await client.embeddings.create({ model: 'tiny', input, ...format })
      expect(data.map(({ embedding }) => embedding)).toEqual(expected.map((vector) => [...vector]))
      expect(usage).toEqual({ prompt_tokens: 10, total_tokens: 10 })
    }
    const { embedding } = (await model().embeddings.create({ input: 'Hello', encoding_format: 'base64' })).data[0]!
    const bytes = Uint8Array.from(Buffer.from(embedding as string, 'base64'))
    expect(new Float32Array(bytes.buffer)).toEqual(expected[0])
  })

  it('want something to embed that fits', async () => {
    await expectError(model().embed([]), 'bad-option')
    await expectError(model().embed([[]]), 'bad-option')
    await expectError(model().embed([1, 5000]), 'bad-option')
    await expectError(model().embed(randomIds(1281)), 'context-full')
    await expectError(model().embed(IDS, { signal: AbortSignal.abort() }), 'aborted')
    await expectError(model().embeddings.create({ input: [{}] } as never), 'bad-option')
    await expectError(model().embeddings.create({ input: 'a', encoding_format: 'hex' } as never), 'bad-option')
    await expectError(model().embeddings.create({ input: 'a', dimensions: 8 }), 'unsupported')
    expect((await model().embeddings.create({ input: 'a', dimensions: D })).data[0]!.embedding).toHaveLength(D)
  })
})
