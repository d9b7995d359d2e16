import { execFileSync } from 'node:child_process'
import path from 'node:path'
import { fileURLToPath } from 'node:url'
import { describe, expect, it } from 'vitest'
import { dense, loadModel, type PolicyRequest, skipgpt } from '../../src/index.js'
import { windowsOf } from '../../src/study/evaluate.js'
import { describeWithGpu } from '../fixtures/dawn.js'
import { readJson, sharedDir, sharedPresent } from '../fixtures/golden.js'
import { pebbleSource } from '../fixtures/pebble.js'

/** What tools/train/evaluate.py measured; the rows that need no training code. */
interface Report {
  readonly windows: number
  readonly rows: readonly { target: string; kind: string; nll: number; skip?: { total: number } }[]
}

const report = readJson(fileURLToPath(new URL('../golden-own/pebble-report.json', import.meta.url))) as Report

const ROWS: readonly { kind: string; target: string; lora: boolean; policy: PolicyRequest }[] = [
  { kind: 'dense', target: '0', lora: false, policy: dense() },
  ...['25', '40'].flatMap((target) => [
    { kind: 'routers', target, lora: false, policy: skipgpt() },
    { kind: 'routers + LoRA', target, lora: true, policy: skipgpt() },
    { kind: 'LoRA, dense', target, lora: true, policy: dense() },
  ]),
]

describe.skipIf(!sharedPresent)('the table of Pebble', () => {
  describeWithGpu('as it is shipped, on held-out text', (gpu) => {
    it.each(ROWS)(
      '$target % $kind',
      async ({ kind, target, lora, policy }) => {
        const expected = report.rows.find((row) => row.kind === kind && row.target === target)
        const model = await loadModel(pebbleSource(), {
          gpu: gpu(),
          ...(target !== '0' && { routers: pebbleSource(`skipgpt-${target}`) }),
          // What a LoRA changes is not rounded to 8 bits again.
          ...(lora && { lora: pebbleSource(`skipgpt-${target}`, 'lora'), dtype: 'f16' }),
        })
        const { nll, skip } = await model.evaluate(await heldOut(model), { policy })
        model.dispose()
        expect(Math.abs(nll / (expected?.nll ?? Number.NaN) - 1)).toBeLessThan(1e-3)
        expect(Math.abs(skip.total - (expected?.skip?.total ?? 0))).toBeLessThan(2e-3)
      },
      1_800_000,
    )
  })
})

/** The windows of the report, spread evenly over the text. */
async function heldOut(model: Awaited<ReturnType<typeof loadModel>>): Promise<number[][]> {
  const file = path.join(sharedDir, 'data', 'classics', 'valid.txt.xz')
  const text = execFileSync('xz', ['-dc', file], { encoding: 'utf8', maxBuffer: 2 ** 28 })
  const ids = await model.text.encode(text, { addSpecialTokens: false })
  const all = windowsOf(ids, 512, 0).filter((w) => w.length === 512)
  return Array.from({ length: report.windows }, (_, i) => {
    const at = Math.trunc((i * (all.length - 1)) / (report.windows - 1))
    return all[at] as number[]
  })
}
