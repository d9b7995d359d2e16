import { describe, expect, it } from 'vitest'
import { parseGenerationConfig } from '../../src/model/generation-config.js'

describe('parseGenerationConfig', () => {
  it('reads what is there and leaves the rest undefined', () => {
    const file = {
      ...{ bos_token_id: 1, eos_token_id: [2, 3], do_sample: true, temperature: 0.6 },
      ...{ top_k: 20, top_p: 0.9, min_p: 0, repetition_penalty: 1.05, transformers_version: '4.51.0' },
    }
    expect(parseGenerationConfig(file)).toEqual({
      eosTokenIds: [2, 3],
      bosTokenId: 1,
      doSample: true,
      temperature: 0.6,
      topK: 20,
      topP: 0.9,
      minP: 0,
      repetitionPenalty: 1.05,
    })
    expect(parseGenerationConfig({ eos_token_id: 5, top_k: null })).toMatchObject({ eosTokenIds: [5], topK: undefined })
    expect(parseGenerationConfig({}).eosTokenIds).toEqual([])
  })

  it.each([
    [{ eos_token_id: '</s>' }, 'eos_token_id'],
    [{ eos_token_id: [2, null] }, 'eos_token_id'],
    [{ temperature: -1 }, 'temperature'],
    [{ top_p: 1.5 }, 'top_p'],
    [{ top_k: 0.5 }, 'top_k'],
    [{ repetition_penalty: 0 }, 'repetition_penalty'],
    [{ do_sample: 1 }, 'do_sample'],
    [[], 'generation_config.json'],
  ])('refuses %j', (json, part) => {
    expect(() => parseGenerationConfig(json)).toThrow(
      expect.objectContaining({ code: 'bad-file', message: expect.stringContaining(part) }),
    )
  })
})
