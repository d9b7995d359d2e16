import { readFileSync } from 'node:fs'
import path from 'node:path'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { SkipstoneError } from '../../src/errors.js'
import { parseGguf } from '../../src/formats/gguf.js'
import { parseAdapterConfig } from '../../src/formats/peft.js'
import { parseSafetensors } from '../../src/formats/safetensors.js'
import { parseShardIndex } from '../../src/formats/shard-index.js'
import { parseTorch } from '../../src/formats/torch.js'
import { parseModelConfig } from '../../src/model/config.js'
import { parseGenerationConfig } from '../../src/model/generation-config.js'
import { ggufConfig } from '../../src/model/gguf-config.js'
import { ggufTokenizer } from '../../src/text/gguf-tokenizer.js'
import { loadTokenizer } from '../../src/text/tokenizer.js'
import { PEBBLE } from '../fixtures/pebble.js'
import { randomGguf } from '../fixtures/random-gguf.js'
import { TINY, tinyModel } from '../fixtures/tiny-model.js'

// Damaged and hostile files: every one gives a typed error or is read, soon, and without asking for memory that the file
// does not account for.

const RUNS = 20_000
const SEED = 20_261_123
const LONGEST_MS = 1000
const SPARE_BYTES = 64 << 20

/** A place in a file and what happens there. */
const bytesMutation = fc.array(
  fc.record({
    at: fc.double({ min: 0, max: 1, noNaN: true }),
    kind: fc.constantFrom('flip', 'cut', 'insert', 'zero', 'huge', 'copy'),
    value: fc.integer({ min: 0, max: 255 }),
  }),
  { minLength: 1, maxLength: 4 },
)

function mutate(bytes: Uint8Array, mutations: readonly { at: number; kind: string; value: number }[]): Uint8Array {
  let out = Uint8Array.from(bytes)
  for (const { at, kind, value } of mutations) {
    // Headers are where it hurts: half of all places are among the first bytes.
    const reach = value % 2 ? out.length : Math.min(out.length, 400)
    const place = Math.floor(at * reach)
    if (out.length === 0) return out
    if (kind === 'flip') out[place % out.length]! ^= 1 << (value % 8)
    else if (kind === 'cut') out = out.slice(0, place)
    else if (kind === 'insert') out = Uint8Array.from([...out.subarray(0, place), value, ...out.subarray(place)])
    else if (kind === 'copy') out.copyWithin(place, 0, value)
    else out.fill(kind === 'zero' ? 0 : 255, place, place + 1 + (value % 8))
  }
  return out
}

const jsonMutation = fc.array(
  fc.record({
    at: fc.nat(),
    value: fc.oneof(
      fc.constantFrom(null, true, -1, 0, 1.5, 2 ** 31, 2 ** 53, 1e308, '', 'x', [], {}, [[]], { a: 1 }),
      fc.string(),
      fc.integer(),
    ),
    remove: fc.boolean(),
  }),
  { minLength: 1, maxLength: 3 },
)

type Json = null | boolean | number | string | Json[] | { [key: string]: Json }

/** Replaces or removes some nodes. */
function mutateJson(json: Json, mutations: readonly { at: number; value: unknown; remove: boolean }[]): Json {
  const copy = structuredClone(json)
  for (const { at, value, remove } of mutations) {
    const places: [Record<string, Json>, string][] = []
    const visit = (node: Json, depth: number) => {
      if (typeof node !== 'object' || node === null || depth > 4) return
      // Of long lists some elements stand for all.
      for (const key of Object.keys(node).slice(0, 60)) {
        places.push([node as Record<string, Json>, key])
        visit((node as Record<string, Json>)[key]!, depth + 1)
      }
    }
    visit(copy, 0)
    const [parent, key] = places[at % Math.max(1, places.length)] ?? []
    if (!parent || key === undefined) continue
    if (remove && !Array.isArray(parent)) delete parent[key]
    // Its own: the next mutation may change what was put in here.
    else parent[key] = structuredClone(value) as Json
  }
  return copy
}

async function survives(size: number, read: () => unknown): Promise<void> {
  const before = process.memoryUsage().arrayBuffers
  const start = performance.now()
  try {
    await read()
  } catch (error) {
    if (!(error instanceof SkipstoneError)) throw error
  }
  expect(performance.now() - start).toBeLessThan(LONGEST_MS)
  expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(size + SPARE_BYTES)
}

const FIXTURES = path.join(import.meta.dirname, '../fixtures/torch')
const tiny = tinyModel(TINY)
const file = (name: string) => tiny.files.get(name)!
const gguf = randomGguf(['Q4_K', 'Q8_0']).file
const text = (bytes: Uint8Array) => JSON.parse(new TextDecoder().decode(bytes)) as Json

const BYTES: readonly [string, Uint8Array, (bytes: Uint8Array) => unknown][] = [
  ['safetensors', file('routers.safetensors'), (bytes) => parseSafetensors(bytes)],
  [
    'GGUF',
    // The header and a little data: what is mutated is what is parsed.
    gguf.slice(0, 8192),
    (bytes) => {
      const header = parseGguf(bytes, gguf.length)
      if (!header) return
      ggufConfig(header)
      if (header.metadata.has('tokenizer.ggml.model')) ggufTokenizer(header.metadata)
    },
  ],
  ['PyTorch', readFileSync(path.join(FIXTURES, 'routers.pth')), (bytes) => parseTorch(bytes)],
  ['PyTorch, nested', readFileSync(path.join(FIXTURES, 'nested.pth')), (bytes) => parseTorch(bytes)],
]

const JSONS: readonly [string, Json, (json: unknown) => unknown][] = [
  ['config.json', text(file('config.json')), (json) => parseModelConfig(json)],
  ['generation_config.json', { eos_token_id: [1, 2], temperature: 0.7 }, (json) => parseGenerationConfig(json)],
  [
    'adapter_config.json',
    text(readFileSync(path.join(PEBBLE, 'skipgpt-25/lora/adapter_config.json'))),
    parseAdapterConfig,
  ],
  ['a shard index', { metadata: {}, weight_map: { a: 'x.safetensors', b: 'y.safetensors' } }, parseShardIndex],
  [
    'tokenizer.json',
    text(file('tokenizer.json')),
    async (json) => {
      const tokenizer = await loadTokenizer(json, undefined)
      tokenizer.decode(tokenizer.encode('Some text, é 漢 <s>'))
    },
  ],
]

describe('mutated files', () => {
  it.each(BYTES)(
    '%s',
    (_, bytes, read) =>
      fc.assert(
        fc.asyncProperty(bytesMutation, (mutations) => {
          const mutated = mutate(bytes, mutations)
          return survives(mutated.length, () => read(mutated))
        }),
        { numRuns: RUNS, seed: SEED },
      ),
    1_200_000,
  )

  it.each(JSONS)(
    '%s',
    (_, json, read) =>
      fc.assert(
        fc.asyncProperty(jsonMutation, (mutations) => survives(0, () => read(mutateJson(json, mutations)))),
        { numRuns: RUNS, seed: SEED },
      ),
    1_200_000,
  )
})
