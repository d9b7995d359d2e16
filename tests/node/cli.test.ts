import { spawn } from 'node:child_process'
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { parseSafetensors, readF32 } from '../../src/formats/safetensors.js'
import { findDriverManifest } from '../../src/node/adapters.js'
import { findChromium, findFirefox } from '../../src/node/browsers.js'
import { runCommandLine } from '../../src/node/command-line.js'
import type { StagesResult } from '../../src/node/commands/stages.js'
import type { BenchRow } from '../../src/study/bench.js'
import type { Sweep } from '../../src/study/sweep.js'
import {
  dllmTensors,
  dloTensors,
  flexiDepthTensors,
  gateSkipTensors,
  mindSkipTensors,
  tensorFile,
} from '../fixtures/gates.js'
import { copyPebble } from '../fixtures/pebble.js'
import { randomGguf } from '../fixtures/random-gguf.js'
import { TINY } from '../fixtures/tiny-model.js'

const root = fileURLToPath(new URL('../..', import.meta.url))
const strict = Boolean(process.env.CI)
let folder: string

beforeAll(() => {
  folder = mkdtempSync(path.join(tmpdir(), 'skipstone-cli-'))
})
afterAll(() => rmSync(folder, { recursive: true, force: true }))

interface Ended {
  readonly status: number
  readonly stdout: string
  readonly stderr: string
}

/** Runs the command line as `npm run skipstone` does, from the test's folder. */
function skipstone(...args: string[]): Promise<Ended> {
  return new Promise((resolve) => {
    const child = spawn(process.execPath, ['tools/run.mjs', 'src/node/cli.ts', ...args], {
      cwd: root,
      env: { ...process.env, INIT_CWD: folder },
    })
    let stdout = ''
    let stderr = ''
    child.stdout.on('data', (chunk) => {
      stdout += chunk
    })
    child.stderr.on('data', (chunk) => {
      stderr += chunk
    })
    child.on('close', (status) => resolve({ status: status ?? -1, stdout, stderr }))
  })
}

/** The one JSON object on standard output. */
async function json(...args: string[]): Promise<{ status: number; value: Record<string, unknown> }> {
  const { status, stdout, stderr } = await skipstone(...args, '--json')
  try {
    return { status, value: JSON.parse(stdout) }
  } catch {
    throw new Error(`not JSON: ${stdout}\n${stderr}`)
  }
}

async function failure(...args: string[]): Promise<string> {
  const { status, value } = await json(...args)
  expect(status).toBe(1)
  const { code, message } = value.error as { code: string; message: string }
  expect(message).toMatch(/[.!]$/)
  return code
}

const adapter = findDriverManifest('lavapipe') ? 'lavapipe' : 'auto'
const here = ['--adapter', adapter]
const routed = ['--routers', 'pebble/skipgpt-25', '--lora', 'pebble/skipgpt-25/lora']

describe.skipIf(!findDriverManifest('lavapipe') && !strict)('commands on the embedded model', () => {
  it('generates, and writes logits and a trace', async () => {
    const files = ['--logits', 'logits.bin', '--trace', 'trace.json']
    const { status, value } = await json(
      'generate',
      ...here,
      '--prompt',
      'Once',
      '--max-tokens',
      '6',
      '--ignore-eos',
      '--policy',
      'skipgpt',
      ...routed,
      ...files,
    )
    expect(status).toBe(0)
    expect(value).toMatchObject({ model: 'pebble', backend: 'dawn', policy: 'skipgpt', finishReason: 'length' })
    const tokens = value.tokens as number[]
    const promptIds = value.promptIds as number[]
    expect(tokens).toHaveLength(6)
    expect(typeof value.text).toBe('string')
    const { attention, mlp, total } = value.skip as { attention: number; mlp: number; total: number }
    expect(total).toBeCloseTo((attention + mlp) / 2, 10)

    const trace = JSON.parse(readFileSync(path.join(folder, 'trace.json'), 'utf8'))
    expect(trace.steps.map((s: { token: number }) => s.token)).toEqual([...promptIds, ...tokens.slice(0, -1)])
    const bits = trace.steps.flatMap((s: { attention: string; mlp: string }) => [...s.attention, ...s.mlp])
    expect(bits.filter((b: string) => b === '0').length / bits.length).toBeCloseTo(total, 10)
    for (const { attention: row, marginAttention } of trace.steps) {
      expect(marginAttention.map((z: number) => (z >= 0 ? '1' : '0')).join('')).toBe(row)
    }
    const bytes = readFileSync(path.join(folder, 'logits.bin'))
    const logits = Array.from({ length: bytes.length / 4 }, (_, i) => bytes.readFloatLE(4 * i))
    expect(logits.indexOf(Math.max(...logits))).toBe(tokens[0])
  })

  it('times a model under a policy, on text of its own', async () => {
    const { status, value } = await json(
      ...['bench', ...here, '--policy', 'skipgpt', ...routed, '--tokens', '16', '--repeats', '1'],
    )
    expect(status).toBe(0)
    const rows = value.rows as BenchRow[]
    expect(rows.map(({ shape, phase, mode }) => [shape, phase, mode])).toEqual(
      ['prefill', 'decode'].flatMap((phase) => ['dense', 'skip', 'masked'].map((mode) => ['pebble', phase, mode])),
    )
    for (const { mode, skip, ms } of rows) {
      expect(ms).toBeGreaterThan(0)
      expect(skip).toBeGreaterThan(mode === 'dense' ? -1 : 0.02)
      expect(skip).toBeLessThan(mode === 'dense' ? 1e-9 : 0.6)
    }
  })

  it('takes ids as they are', async () => {
    const { value } = await json('generate', ...here, '--ids', '5,6,7', '--max-tokens', '2', '--ignore-eos')
    expect(value.promptIds).toEqual([5, 6, 7])
  })

  it('evaluates a text and windows of ids alike', async () => {
    writeFileSync(path.join(folder, 'text.txt'), 'hello world, this is a text')
    const text = await json('eval', ...here, '--text', 'text.txt', '--context', '16')
    expect(text.value).toMatchObject({ tokens: 10 })
    expect(text.value.perplexity as number).toBeCloseTo(Math.exp(text.value.nll as number), 6)
    writeFileSync(
      path.join(folder, 'ids.json'),
      JSON.stringify([
        [1, 5, 6],
        [1, 9],
      ]),
    )
    const some = await json('eval', ...here, '--text', 'text.txt', '--context', '4', '--windows', '2')
    expect(some.value).toMatchObject({ tokens: 6 })
    expect(await failure('eval', ...here, '--text', 'text.txt', '--context', '4', '--windows', '9')).toBe('bad-option')
    const ids = await json('eval', ...here, '--ids-file', 'ids.json')
    expect(ids.value).toMatchObject({ tokens: 3 })
  })

  it('compares policies', async () => {
    const policies = 'dense,forced:skip=0.3,seed=2,skipgpt'
    const { value } = await json(
      'compare',
      ...here,
      ...routed,
      '--policies',
      policies,
      '--prompt',
      'Hello',
      '--max-tokens',
      '8',
    )
    const runs = value.runs as { policy: string; agreement: number; partsAt: number | null; skip: { total: number } }[]
    expect(runs.map((r) => r.policy)).toEqual(['dense', 'forced:skip=0.3,seed=2', 'skipgpt'])
    expect(runs[0]).toMatchObject({ agreement: 1, partsAt: null, skip: { total: 0 } })
  })

  it('sweeps policies over shares, on a text or on ids', async () => {
    const model = path.join(folder, 'short-context')
    copyPebble(model, 48)
    const args = ['--model', model, ...here, ...routed, '--sweep', '--shares', '0.2,0.4', '--rounds', '1']
    const prompt = ['--policies', 'dense,skipgpt', '--prompt', 'Hello', '--max-tokens', '4']
    const { value } = await json('compare', ...args, ...prompt)
    const { lines, dense } = value.sweep as Sweep
    expect(lines.map(({ policy, masked }) => [policy, masked])).toEqual([
      ['skipgpt', false],
      ['skipgpt', true],
    ])
    expect(dense.speed!.decodeTokensPerSecond).toBeGreaterThan(0)
    expect(lines[0]!.points.map(({ share }) => share)).toEqual([0.2, 0.4])
    expect(value.runs).toHaveLength(2)

    writeFileSync(path.join(folder, 'windows.json'), JSON.stringify([[1, 5, 6, 7, 8, 9]]))
    const swept = ['--ids-file', 'windows.json', '--policies', 'first,random', '--seeds', '2', '--rounds', '0']
    const { stdout } = await skipstone('compare', ...args.slice(0, -2), ...swept)
    expect(stdout).toMatch(/^5 predicted tokens\n/)
    expect(stdout).toMatch(/\| random \| 20.0 % \| 21.4 % \|.*\(\d+\.\d+–\d+\.\d+\)/)
    expect(await failure('compare', '--sweep')).toBe('bad-option')
    expect(await failure('compare', '--prompt', 'x')).toBe('bad-option')
  }, 300_000)

  it('searches budgets for the stages of a task', async () => {
    const example = { stages: ['Once upon', ' there was'], answer: '' }
    writeFileSync(path.join(folder, 'task.json'), JSON.stringify([example]))
    const args = ['stages', ...here, '--most', '1', '--max-tokens', '2', '--exit', '2/0.01']
    const { value } = await json(...args, '--task', 'task.json')
    const { tried, best, policy } = value as unknown as StagesResult
    // Any answer is right, so that only time decides.
    expect(tried.map(({ budgets }) => budgets.join('/'))).toHaveLength(3)
    expect(tried[0]).toMatchObject({ budgets: [0, 0], accuracy: 1 })
    expect(policy).toBe(`litestage:budgets=${best.budgets.join('/')},stage=1`)
    writeFileSync(path.join(folder, 'uneven.json'), JSON.stringify([example, { ...example, stages: ['Once'] }]))
    expect(await failure(...args, '--task', 'uneven.json')).toBe('bad-option')
    writeFileSync(path.join(folder, 'none.json'), '[{ "stages": [] }]')
    expect(await failure(...args, '--task', 'none.json')).toBe('bad-file')
    expect(await failure(...args.slice(0, -1), '2', '--task', 'task.json')).toBe('bad-option')
  }, 300_000)

  it('calibrates a profile, which policies then use', async () => {
    writeFileSync(path.join(folder, 'story.txt'), 'Once upon a time there was a small pebble. It lay by the river.')
    const calibrated = await json('calibrate', ...here, '--text', 'story.txt', '--out', 'profile.json')
    expect(calibrated.status).toBe(0)
    const profile = JSON.parse(readFileSync(path.join(folder, 'profile.json'), 'utf8'))
    expect(calibrated.value).toEqual({ out: 'profile.json', profile })
    expect(profile).toMatchObject({ text: 'given', similarity: { length: 2 * profile.model.layers } })

    const generate = ['generate', ...here, '--prompt', 'Once', '--max-tokens', '2', '--policy', 'adaskip:skip=0.2']
    const { stderr, stdout } = await skipstone(...generate, '--json', '--profile-file', 'profile.json')
    expect(JSON.parse(stdout).skip.total).toBeCloseTo(
      Math.round(0.4 * profile.model.layers) / profile.similarity.length,
      10,
    )
    expect(stderr).not.toContain('profile')
    // Pebble comes with one; without it, its own text is measured.
    expect((await skipstone(...generate)).stderr).not.toContain('profile')
    const bare = path.join(folder, 'bare')
    copyPebble(bare, 48)
    const manifest = JSON.parse(readFileSync(path.join(bare, 'manifest.json'), 'utf8')) as { files: { path: string }[] }
    const files = manifest.files.filter((file) => file.path !== 'skip-profile.json')
    writeFileSync(path.join(bare, 'manifest.json'), JSON.stringify({ ...manifest, files }))
    rmSync(path.join(bare, 'skip-profile.json'))
    expect((await skipstone(...generate, '--model', bare)).stderr).toContain('needs a skip profile')

    const other = { ...profile, model: { ...profile.model, fingerprint: 'another' } }
    writeFileSync(path.join(folder, 'other.json'), JSON.stringify(other))
    expect(await failure(...generate, '--profile-file', 'other.json')).toBe('wrong-model')
    expect(await failure(...generate, '--profile-file', 'story.txt')).toBe('bad-file')
    expect(await failure(...generate, '--profile-file', 'nothing.json')).toBe('not-found')
  })

  it('prints text for people without --json', async () => {
    const { status, stdout } = await skipstone('generate', ...here, '--prompt', 'a', '--max-tokens', '3')
    expect(status).toBe(0)
    expect(stdout).toContain('tokens/s')
  })
})

describe('inspect', () => {
  it('reads headers and needs no GPU', async () => {
    const { status, value } = await json('inspect', ...routed)
    expect(status).toBe(0)
    expect(value).toMatchObject({ architecture: 'llama', routers: { kind: 'linear' } })
    expect((value.tensors as unknown[]).length).toBeGreaterThan(10)
  })

  it('takes a folder with one GGUF file as that file, and asks which of several', async () => {
    const models = path.join(folder, 'gguf')
    mkdirSync(models)
    writeFileSync(path.join(models, 'tiny-Q8_0.gguf'), randomGguf(['Q8_0']).file)
    const { value } = await json('inspect', '--model', models)
    expect(value).toMatchObject({ architecture: 'llama', config: { layers: 2, hiddenSize: 256 } })
    writeFileSync(path.join(models, 'tiny-Q4_K.gguf'), randomGguf(['Q4_K']).file)
    expect(await failure('inspect', '--model', models)).toBe('bad-option')
    expect((await json('inspect', '--model', path.join(models, 'tiny-Q4_K.gguf'))).status).toBe(0)
  })
})

describe('convert', () => {
  const files = path.join(import.meta.dirname, '../fixtures/torch')

  it('writes routers of a PyTorch file under their official keys, which then are routers', async () => {
    const { value } = await json(
      'convert',
      '--routers',
      path.join(files, 'routers.pth'),
      '--out',
      'routers.safetensors',
    )
    expect(value).toMatchObject({ out: 'routers.safetensors' })
    expect(value.tensors).toHaveLength(56)
    expect(value.tensors).toContain('model.layers.13.router_mlp.weight_predictor.bias')
    const { value: inspected } = await json('inspect', '--routers', 'routers.safetensors')
    expect(inspected.routers).toEqual({ kind: 'linear', parameters: 28 * (2 * 256 + 2) })
    const { value: direct } = await json('inspect', '--routers', path.join(files, 'routers.pth'))
    expect(direct.routers).toEqual(inspected.routers)
  })

  it('writes gates and routers of other policies, and leaves out the rest of a checkpoint', async () => {
    const gates = gateSkipTensors(TINY, { form: 'scalar', seed: 1 })
    const routers = new Map([
      ...dloTensors(TINY, [0], 2),
      ...mindSkipTensors(TINY, [1], 3),
      ...flexiDepthTensors(TINY, [1], 4, { biases: true }),
      ...dllmTensors(TINY, [1], 5),
    ])
    const model = new Map([['layers.0.block.mlp.up_proj.weight', { shape: [1], data: new Float32Array(1) }]])
    const wrapped = [...gates].map(([name, tensor]) => [`base_model.model.${name}`, tensor] as const)
    const bare = [...routers].map(([name, tensor]) => [name.replace('model.', ''), tensor] as const)
    writeFileSync(path.join(folder, 'all.safetensors'), tensorFile(new Map([...model, ...wrapped, ...bare])))
    const { value } = await json('convert', '--routers', 'all.safetensors', '--out', 'gates.safetensors')
    expect(value.tensors).toEqual([...gates.keys(), ...routers.keys()])
    const written = parseSafetensors(readFileSync(path.join(folder, 'gates.safetensors')))
    for (const [name, { shape, data }] of [...gates, ...routers]) {
      const entry = written.entries.get(name)!
      expect(entry.shape).toEqual(shape)
      expect(readF32(entry, written.data(name))).toEqual(data)
    }
  })

  it('writes an adapter without the name that it had in training', async () => {
    const { value } = await json('convert', '--lora', files, '--out', 'adapter_model.safetensors')
    expect(value.tensors).toEqual([
      'base_model.model.model.layers.0.self_attn.q_proj.lora_A.weight',
      'base_model.model.model.layers.0.self_attn.q_proj.lora_B.weight',
    ])
    expect(readFileSync(path.join(folder, 'adapter_model.safetensors')).byteLength).toBe(value.bytes)
  })

  it('refuses a file without routers', async () => {
    expect(await failure('convert', '--routers', path.join(files, 'plain.pth'), '--out', 'x')).toBe('missing-weights')
  })
})

describe('mistakes give a typed error and status 1', () => {
  it.each([
    ['bad-option', ['dance']],
    ['bad-option', ['calibrate']],
    ['bad-option', ['convert', '--out', 'x']],
    ['bad-option', ['convert', '--routers', 'pebble/skipgpt-25']],
    ['bad-option', ['convert', '--routers', 'pebble/skipgpt-25', '--lora', 'pebble/skipgpt-25/lora', '--out', 'x']],
    ['bad-option', ['generate']],
    ['bad-option', ['generate', '--prompt', 'a', '--colour', 'red']],
    ['unknown-policy', ['generate', '--prompt', 'a', '--policy', 'magic']],
    ['missing-weights', ['generate', '--prompt', 'a', '--policy', 'dllm']],
    ['bad-option', ['generate', '--prompt', 'a', '--policy', 'skipgpt:colour=1']],
    ['bad-option', ['generate', '--prompt', 'a', '--dtype', 'f12']],
    ['not-found', ['generate', '--prompt', 'a', '--model', 'no-such-model']],
    ['not-found', ['generate', '--prompt', 'a', '--routers', 'no-such-folder']],
    ['not-found', ['generate', '--prompt', 'a', '--routers', 'pebble/../..']],
    ['bad-option', ['generate', '--prompt', 'a', '--max-tokens', 'many']],
    ['not-found', ['eval', '--text', 'no-such-file']],
    ['bad-option', ['bench', '--shape', 'syn-2b']],
    ['bad-option', ['bench', '--shape', 'syn-15m', '--policy', 'skipgpt']],
  ])('%s: %j', async (code, args) => {
    // In this process: starting another one takes longer than all of them.
    let printed = ''
    const print = (text: string) => {
      printed += text
    }
    expect(await runCommandLine([...args, '--json'], { signal: new AbortController().signal, print })).toBe(1)
    const { error } = JSON.parse(printed)
    expect(error).toEqual({ code, message: expect.stringMatching(/[.!]$/) })
  })

  it('missing weights, in a process', async () => {
    expect(await failure('generate', '--prompt', 'a', '--policy', 'skipgpt')).toBe('missing-weights')
  })

  it('a model in a format that is not read, or a file that is not what its name says', async () => {
    writeFileSync(path.join(folder, 'model.onnx'), 'ONNX')
    expect(await failure('inspect', '--model', 'model.onnx')).toBe('unsupported')
    writeFileSync(path.join(folder, 'broken.gguf'), 'GGUF')
    expect(await failure('inspect', '--model', 'broken.gguf')).toBe('bad-file')
  })
})

describe.each([
  ['chromium', findChromium(), 'lavapipe'],
  ['firefox', findFirefox(), 'swiftshader'],
] as const)('--backend %s', (backend, browser, wrongAdapter) => {
  it('refuses an adapter that it cannot have', async () => {
    expect(await failure('generate', '--prompt', 'a', '--backend', backend, '--adapter', wrongAdapter)).toBe(
      'bad-option',
    )
  })

  it.skipIf(!browser && !strict)(
    'gives the same tokens as Dawn',
    async () => {
      const args = [
        'generate',
        '--prompt',
        'Hello',
        '--max-tokens',
        '8',
        '--ignore-eos',
        '--policy',
        'skipgpt',
        ...routed,
      ]
      const inPage = await json(...args, '--backend', backend)
      const inNode = await json(...args, ...here)
      expect(inPage.value).toMatchObject({ backend, tokens: inNode.value.tokens, text: inNode.value.text })
    },
    300_000,
  )
})
