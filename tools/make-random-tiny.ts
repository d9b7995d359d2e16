// Writes public/models/random-tiny/, the model that the demo page brings along. Its weights are random; see the README
// that is written beside them. The same bytes on every machine:
//
//   node tools/run.mjs tools/make-random-tiny.ts
import { mkdirSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { writeSafetensors } from '../src/formats/safetensors-writer.js'
import { type FloatType, storeFloats } from '../tests/fixtures/float-bytes.js'
import { randomCheckpoint, type Tensor } from '../tests/fixtures/random-checkpoint.js'

const FOLDER = path.join(import.meta.dirname, '../public/models/random-tiny')
const BOS = 256
const EOS = 257
const VOCAB = 258
const HIDDEN = 64

/** Dimensions of the residual stream that are reserved: no sublayer writes to them and no router reads them. */
const CONSTANT = 0
const LETTER_KIND = 1
const SPACE = 2
const RESERVED = [CONSTANT, LETTER_KIND, SPACE]

/** What each layer's routers add for running it. */
const ATTENTION_BIAS = [3, 0, 5, -1, 0, 9]
const MLP_BIAS = [3, 5, 4, 4, 2, 1]

const { files, tensors, routers } = randomCheckpoint({
  architecture: 'llama',
  seed: 20,
  hiddenSize: HIDDEN,
  intermediateSize: 64,
  layers: 6,
  heads: 4,
  kvHeads: 2,
  vocabSize: VOCAB,
  tied: false,
  dtype: 'F16',
  routers: 'linear',
})

shapeText(tensors)
spreadRouters(routers)

write('model.safetensors', toSafetensors(tensors, 'F16'))
write('routers.safetensors', toSafetensors(routers, 'F32'))
writeJson('config.json', { ...hubConfig(), bos_token_id: BOS, eos_token_id: EOS })
writeJson('generation_config.json', { bos_token_id: BOS, eos_token_id: EOS, do_sample: true, temperature: 0.8 })
write('tokenizer.json', `${JSON.stringify(tokenizer())}\n`)
writeJson('tokenizer_config.json', {
  tokenizer_class: 'PreTrainedTokenizerFast',
  bos_token: '<s>',
  eos_token: '</s>',
  model_max_length: 512,
})
write('README.md', readme())

/**
 * Makes the noise printable. The embedding writes a constant and the kind of letter into the reserved dimensions; the
 * head turns them into the letters' frequencies in English, vowels after consonants and single spaces. All else stays random.
 */
function shapeText(model: Map<string, Tensor>): void {
  const embedding = model.get('model.embed_tokens.weight')!
  const head = model.get('lm_head.weight')!
  for (let i = 0; i < embedding.data.length; i++) embedding.data[i]! *= 4
  for (let i = 0; i < head.data.length; i++) head.data[i]! *= 0.05
  for (let id = 0; id < VOCAB; id++) {
    const character = id < 128 ? String.fromCharCode(id) : ''
    embedding.data[id * HIDDEN + CONSTANT] = 8
    embedding.data[id * HIDDEN + LETTER_KIND] = 8 * letterKind(character)
    head.data[id * HIDDEN + CONSTANT] = logFrequency(character)
    head.data[id * HIDDEN + LETTER_KIND] = -0.8 * letterKind(character)
    embedding.data[id * HIDDEN + SPACE] = character === ' ' ? 8 : 0
    head.data[id * HIDDEN + SPACE] = character === ' ' ? -3 : 0
  }
  const finalNorm = model.get('model.norm.weight')!
  for (const dimension of RESERVED) finalNorm.data[dimension] = 1
  for (const [name, { shape, data }] of model) {
    if (!/(o|down)_proj\.weight$/.test(name)) continue
    const columns = shape[1]!
    for (const row of RESERVED) data.fill(0, row * columns, (row + 1) * columns)
  }
}

/** Vowels 1, consonants -1, all else 0. */
function letterKind(character: string): number {
  if (/^[aeiou]$/.test(character)) return 1
  return /^[a-z]$/.test(character) ? -1 : 0
}

/** Logarithm of the frequency, up to a constant. Everything that is not listed is very rare. */
function logFrequency(character: string): number {
  const groups: Record<string, number> = {
    ' ': 2.1,
    e: 1.4,
    taoinshr: 1,
    dlu: 0.5,
    cmfwgypb: 0,
    vk: -0.6,
    ',.': -0.6,
    jxqz: -1.6,
  }
  for (const [characters, value] of Object.entries(groups)) {
    if (character !== '' && characters.includes(character)) return value
  }
  return -6
}

/** Without the reserved dimensions every router's mean is near its bias; the biases make the sublayers differ. */
function spreadRouters(set: Map<string, Tensor>): void {
  for (const [name, { data }] of set) {
    if (name.endsWith('.bias')) {
      const layer = Number(/layers\.(\d+)\./.exec(name)![1])
      data.set(name.includes('attention') ? [ATTENTION_BIAS[layer]!, 0] : [MLP_BIAS[layer]!, 0])
      continue
    }
    for (const row of [0, 1]) {
      for (const dimension of RESERVED) data[row * HIDDEN + dimension] = 0
    }
  }
}

function toSafetensors(set: ReadonlyMap<string, Tensor>, dtype: FloatType): Uint8Array {
  const written = [...set].map(
    ([name, { shape, data }]) => [name, { dtype, shape, data: storeFloats(data, dtype).bytes }] as const,
  )
  return writeSafetensors(new Map(written))
}

function hubConfig(): Record<string, unknown> {
  return JSON.parse(new TextDecoder().decode(files.get('config.json')))
}

/** One token per byte, as byte-level BPE spells it, without merges; a text begins with <s>. */
function tokenizer(): unknown {
  const printable = (b: number) => (b >= 0x21 && b <= 0x7e) || (b >= 0xa1 && b <= 0xac) || b >= 0xae
  let standIn = 256
  const spelling = Array.from({ length: 256 }, (_, b) => String.fromCodePoint(printable(b) ? b : standIn++))
  const added = (id: number, content: string) => ({
    id,
    content,
    single_word: false,
    lstrip: false,
    rstrip: false,
    normalized: false,
    special: true,
  })
  return {
    version: '1.0',
    truncation: null,
    padding: null,
    added_tokens: [added(BOS, '<s>'), added(EOS, '</s>')],
    normalizer: null,
    pre_tokenizer: { type: 'ByteLevel', add_prefix_space: false, trim_offsets: true, use_regex: true },
    post_processor: {
      type: 'TemplateProcessing',
      single: [{ SpecialToken: { id: '<s>', type_id: 0 } }, { Sequence: { id: 'A', type_id: 0 } }],
      pair: [{ Sequence: { id: 'A', type_id: 0 } }, { Sequence: { id: 'B', type_id: 1 } }],
      special_tokens: { '<s>': { id: '<s>', ids: [BOS], tokens: ['<s>'] } },
    },
    decoder: { type: 'ByteLevel', add_prefix_space: false, trim_offsets: true, use_regex: true },
    model: {
      type: 'BPE',
      dropout: null,
      unk_token: null,
      continuing_subword_prefix: null,
      end_of_word_suffix: null,
      fuse_unk: false,
      byte_fallback: false,
      vocab: Object.fromEntries(spelling.map((token, id) => [token, id])),
      merges: [],
    },
  }
}

function readme(): string {
  return `# random-tiny

**The weights of this model are random. Its text is noise.** It was never trained and knows nothing. It is here so that the
demo page works without a download: the routing that the page shows is computed by the same code as for a real model.

- Llama architecture: 6 layers, hidden size 64, 4 heads on 2 key-value heads, 512 tokens of context, F16.
- One token per byte, and \`<s>\`, \`</s>\`.
- \`routers.safetensors\`: random linear SkipGPT routers that skip about a third of the sublayer visits.
- What is not random, so that the noise can be looked at: three dimensions of the embedding and the head, which favour
  letters by their frequency in English, vowels after consonants and single spaces; and the routers' biases.

Made by \`node tools/run.mjs tools/make-random-tiny.ts\`, the same bytes every time. MIT, like the rest of the repository.
`
}

function writeJson(name: string, value: unknown): void {
  write(name, `${JSON.stringify(value, null, 2)}\n`)
}

function write(name: string, content: string | Uint8Array): void {
  mkdirSync(FOLDER, { recursive: true })
  writeFileSync(path.join(FOLDER, name), content)
}
