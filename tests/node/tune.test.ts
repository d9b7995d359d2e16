import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { findDriverManifest } from '../../src/node/adapters.js'
import { runCommandLine } from '../../src/node/command-line.js'
import { tinyModel } from '../fixtures/tiny-model.js'

let folder: string
const inFolder = (name: string) => path.join(folder, name)

beforeAll(() => {
  folder = mkdtempSync(path.join(tmpdir(), 'skipstone-tune-'))
  for (const [name, bytes] of tinyModel({ routers: undefined }).files) writeFileSync(inFolder(name), bytes)
  writeFileSync(inFolder('text.txt'), 'A line of the text that it trains on.\n'.repeat(12))
})
afterAll(() => rmSync(folder, { recursive: true, force: true }))

async function run(...args: string[]): Promise<{ status: number; value: Record<string, unknown> }> {
  let printed = ''
  const print = (text: string) => {
    printed += text
  }
  const signal = new AbortController().signal
  const here = ['--model', folder, '--adapter', 'lavapipe', '--json']
  const [command, ...rest] = args
  const status = await runCommandLine([command as string, ...here, ...rest], { signal, print })
  return { status, value: JSON.parse(printed) }
}

const small = ['--steps', '3', '--batch', '2', '--context', '16']

describe.skipIf(!findDriverManifest('lavapipe') && !process.env.CI)('skipstone tune', () => {
  it('trains routers and then a LoRA, whose files the other commands take', async () => {
    const out = inFolder('tuned')
    const text = ['--text', inFolder('text.txt')]
    const stage = ['--stage', 'routers', '--target', '0.3', '--recipe', 'scaled']
    const routers = await run('tune', ...stage, ...text, ...small, '--out', out)
    expect(routers.status).toBe(0)
    expect(routers.value).toMatchObject({ out, files: ['routers.safetensors'] })
    const { steps, held, skip } = routers.value as {
      steps: Record<string, number>[]
      held: Record<string, number>
      skip: Record<string, number>
    }
    expect(steps).toHaveLength(3)
    expect(Object.keys(steps[0]!).sort()).toEqual(['crossEntropy', 'executeRate', 'loss', 'tau'])
    expect(Object.keys(held)).toEqual(['dense', 'routed'])
    expect(skip.total).toBeGreaterThan(0)

    const lora = inFolder('tuned/lora')
    const learning = ['--rank', '2', '--alpha', '4', '--learning-rate', '0.01', '--decisions', 'sampled']
    const adapted = await run(
      'tune',
      '--stage',
      'lora',
      '--routers',
      out,
      ...text,
      ...small,
      ...learning,
      '--out',
      lora,
    )
    expect(adapted.value).toMatchObject({ files: ['adapter_model.safetensors', 'adapter_config.json'] })
    expect(Object.keys(adapted.value.held as object)).toEqual(['dense', 'routed', 'adapted'])
    expect(readdirSync(lora).sort()).toEqual(['adapter_config.json', 'adapter_model.safetensors'])

    const all = ['--routers', out, '--lora', lora, '--policy', 'skipgpt']
    const { value } = await run('generate', ...all, '--prompt', 'A line', '--max-tokens', '4', '--ignore-eos')
    expect(value).toMatchObject({ finishReason: 'length' })
    expect((value.skip as { total: number }).total).toBeGreaterThan(0)
  })

  it('trains gates, whose file the other commands take', async () => {
    const out = inFolder('gates')
    const text = ['--text', inFolder('text.txt')]
    const gates = ['--stage', 'gateskip', '--target', '0.3', '--learning-rate', '0.05', '--coefficient', '0.5']
    const { status, value } = await run('tune', ...gates, ...text, ...small, '--out', out)
    expect(status).toBe(0)
    expect(value).toMatchObject({ out, files: ['routers.safetensors'] })
    const { steps, held } = value as { steps: Record<string, number>[]; held: Record<string, number> }
    expect(Object.keys(steps[0]!).sort()).toEqual(['crossEntropy', 'executeRate', 'loss', 'tau'])
    expect(steps.map(({ executeRate }) => executeRate)).toEqual([1, 0.84375, 0.6875])
    expect(steps[0]!.loss! - steps[0]!.crossEntropy!).toBeCloseTo(0.5 * 0.986, 2)
    expect(Object.keys(held)).toEqual(['dense', 'routed'])
    const same = ['--routers', out, '--policy', 'gateskip', '--text', inFolder('text.txt'), '--context', '16']
    const measured = (await run('eval', ...same)).value as { skip: { total: number } }
    expect(Math.abs(measured.skip.total - 0.3)).toBeLessThan(0.1)
  })

  it('trains on what the model writes itself', async () => {
    const sampled = ['--text', 'self', '--sampled', '5', '--target', '0.3', ...small, '--seed', '4']
    const { status, value } = await run('tune', ...sampled, '--out', inFolder('own'))
    expect(status).toBe(0)
    expect(value.steps).toHaveLength(3)
  })

  it.each([
    { why: 'no text', args: ['--target', '0.3', '--out', 'x'], code: 'bad-option' },
    { why: 'no target', args: ['--text', 'self', '--out', 'x'], code: 'bad-option' },
    { why: 'no folder', args: ['--text', 'self', '--target', '0.3'], code: 'bad-option' },
    {
      why: 'a target of nearly everything',
      args: ['--text', 'self', '--target', '0.95', '--out', 'x'],
      code: 'bad-option',
    },
    { why: 'another stage', args: ['--stage', 'gates', '--text', 'self', '--out', 'x'], code: 'bad-option' },
    {
      why: 'gates without a target',
      args: ['--stage', 'gateskip', '--text', 'self', '--out', 'x'],
      code: 'bad-option',
    },
    {
      why: 'a LoRA without routers',
      args: ['--stage', 'lora', '--text', 'self', '--out', 'x'],
      code: 'missing-weights',
    },
  ])('refuses $why', async ({ args, code }) => {
    const { status, value } = await run('tune', ...args)
    expect(status).toBe(1)
    expect(value.error).toMatchObject({ code })
  })

  it('refuses a text that fills no batch', async () => {
    const long = ['--text', inFolder('text.txt'), '--target', '0.3', '--context', '300', '--out', 'x']
    expect((await run('tune', ...long)).value.error).toMatchObject({ code: 'bad-option' })
  })
})
