import { existsSync, readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { describe, expect, it } from 'vitest'
import { StreamDecoder } from '../../src/text/stream-decoder.js'
import { loadTokenizer } from '../../src/text/tokenizer.js'

const shared = new URL('../../../shared', import.meta.url)
const readJson = (path: string): unknown =>
  JSON.parse(readFileSync(fileURLToPath(new URL(`${shared.href}/${path}`)), 'utf8'))

interface Golden {
  prompts: { id: string; text: string; ids: number[] }[]
  cases: { prompt: string; mode: string; greedy?: number[]; greedy_text?: string }[]
}

describe.skipIf(!existsSync(shared)).each(['stories260k', 'tinystories-656k'])('the tokenizer of %s', (name) => {
  // Read inside the tests: vitest calls this function to list them even where they are skipped.
  const readGolden = () => readJson(`golden/model_${name}.json`) as Golden
  const load = () =>
    loadTokenizer(readJson(`models/${name}/tokenizer.json`), readJson(`models/${name}/tokenizer_config.json`))

  it('gives the ids of all golden prompts', async () => {
    const golden = readGolden()
    const tokenizer = await load()
    expect(golden.prompts).toHaveLength(6)
    for (const { text, ids } of golden.prompts) expect(tokenizer.encode(text)).toEqual(ids)
  })

  it('decodes all golden continuations, at once and in pieces', async () => {
    const golden = readGolden()
    const tokenizer = await load()
    let decoded = 0
    for (const { prompt, greedy, greedy_text } of golden.cases) {
      if (!greedy) continue
      expect(tokenizer.decode(greedy)).toBe(greedy_text)

      const context = golden.prompts.find(({ id }) => id === prompt)!.ids
      const stream = new StreamDecoder(tokenizer, { context })
      const continuation = greedy.map((id) => stream.push(id)).join('') + stream.flush()
      expect(tokenizer.decode(context) + continuation).toBe(tokenizer.decode([...context, ...greedy]))
      decoded++
    }
    expect(decoded).toBeGreaterThan(10)
  })

  it('knows its vocabulary', async () => {
    const tokenizer = await load()
    expect(tokenizer.vocabSize).toBe(name === 'stories260k' ? 512 : 2048)
    expect(tokenizer.idOf('<unk>')).toBe(0)
    expect(tokenizer.idOf('no such token')).toBeUndefined()
    expect([...tokenizer.specialIds]).toEqual([0, 1, 2])
  })
})
