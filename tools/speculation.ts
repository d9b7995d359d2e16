import { createDawnGpu } from '../src/node/dawn.js'
import { DirectorySource } from '../src/node/fs-source.js'
import { writeStdout } from '../src/node/own-stdout.mjs'
import { bestLength, speedup } from '../src/runtime/speculation/cost-model.js'
import { loadEngineModel } from '../src/sdk/load-model.js'
import type { SessionStats } from '../src/sdk/session-api.js'
import { median } from '../src/study/median.js'

/* What self-speculation costs and gives on Pebble; see BENCH.md, "Self-speculation": node tools/run.mjs tools/speculation.ts [rounds] [tokens] [prompts] */

const LENGTHS = [1, 2, 4, 7, 8]
const DRAFTS = ['skipgpt;budget=0.4', 'unified;speedup=1.75', 'adaskip;skip=0.25;online=false']
const PROMPTS = [
  'Once upon a time',
  'The house stood on a hill, and',
  '"I do not know," said the',
  'In the year 1851 the',
]

const [rounds = 3, tokens = 64, prompts = PROMPTS.length] = process.argv.slice(2).map(Number)
const { gpu } = await createDawnGpu('lavapipe')
const pebble = 'public/models/pebble'
const model = await loadEngineModel(new DirectorySource(pebble), {
  gpu,
  routers: new DirectorySource(`${pebble}/skipgpt-25`),
  onWarning: () => undefined,
})

interface Run {
  readonly msPerToken: number
  /** Of all threads, the software device's too: other jobs do not lengthen it. */
  readonly cpuMsPerToken: number
  readonly speculation: SessionStats['speculation']
}

async function run(policy: string, prompt: string): Promise<Run> {
  const session = model.createSession({ policy })
  // The first answer compiles; the second one finds costs that were measured.
  let before = session.stats().speculation
  let cpu = process.cpuUsage()
  for (const [i, maxTokens] of [16, tokens + 1].entries()) {
    if (i > 0) before = session.stats().speculation
    session.rewind(0)
    cpu = process.cpuUsage()
    for await (const _ of session.generate(prompt, { temperature: 0, ignoreEos: true, maxTokens }));
  }
  const { timings, speculation } = session.stats()
  session.dispose()
  const since = (key: keyof NonNullable<Run['speculation']>) => (speculation?.[key] ?? 0) - (before?.[key] ?? 0)
  const { user, system } = process.cpuUsage(cpu)
  return {
    cpuMsPerToken: (user + system) / 1000 / tokens,
    msPerToken: 1000 / (timings?.decodeTokensPerSecond ?? Number.NaN),
    speculation: speculation && {
      ...{
        rounds: since('rounds'),
        proposed: since('proposed'),
        accepted: since('accepted'),
        verified: since('verified'),
      },
      ...{ undrafted: since('undrafted'), draftMs: since('draftMs'), verifyMs: since('verifyMs') },
      undraftedMs: since('undraftedMs'),
    },
  }
}

const lines: string[] = []
for (const draft of DRAFTS) {
  const policies = ['dense', ...[...LENGTHS, 'adaptive'].map((length) => `speculative:draft=${draft},length=${length}`)]
  const runs = new Map<string, Run[]>(policies.map((policy) => [policy, []]))
  for (let round = 0; round < rounds; round++) {
    for (const prompt of PROMPTS.slice(0, prompts)) {
      for (const policy of policies) {
        const one = await run(policy, prompt)
        process.stderr.write(`${policy} ${one.msPerToken.toFixed(1)} ms, CPU ${one.cpuMsPerToken.toFixed(1)} ms\n`)
        runs.get(policy)?.push(one)
      }
    }
  }
  const dense = median((runs.get('dense') as Run[]).map(({ msPerToken }) => msPerToken))
  const denseCpu = median((runs.get('dense') as Run[]).map(({ cpuMsPerToken }) => cpuMsPerToken))
  const verify = new Map<number, number>()
  let cost = Number.NaN
  let acceptance = Number.NaN
  for (const length of [...LENGTHS, 'adaptive']) {
    const all = runs.get(`speculative:draft=${draft},length=${length}`) as Run[]
    const figures = all.map(({ speculation }) => speculation as NonNullable<Run['speculation']>)
    const sum = (key: keyof NonNullable<Run['speculation']>) => figures.reduce((total, one) => total + one[key], 0)
    // Of the tokens that were judged: behind a refused one nothing is.
    const judged =
      sum('accepted') + figures.reduce((n, one) => n + Math.min(one.rounds, one.proposed - one.accepted), 0)
    const alpha = sum('accepted') / judged
    const c = median(figures.filter((one) => one.proposed > 0).map((one) => one.draftMs / one.proposed)) / dense
    const v = median(figures.filter((one) => one.rounds > 0).map((one) => one.verifyMs / one.rounds)) / dense
    const drafted = sum('verified') / (sum('verified') + sum('undrafted'))
    const ms = median(all.map(({ msPerToken }) => msPerToken))
    const cpu = median(all.map(({ cpuMsPerToken }) => cpuMsPerToken))
    if (typeof length === 'number') {
      verify.set(length, v)
      if (length === 4) [cost, acceptance] = [c, alpha]
    }
    const model =
      typeof length === 'number' ? speedup({ acceptance: alpha, draft: c, verify: () => v }, length).toFixed(2) : ''
    lines.push(
      `| \`${draft}\` | ${length} | ${(sum('accepted') / sum('proposed')).toFixed(2)} | ${alpha.toFixed(2)} | ${(sum('verified') / sum('rounds')).toFixed(2)} | ${c.toFixed(2)} | ${v.toFixed(2)} | ${model} | ${(dense / ms).toFixed(2)} | ${(denseCpu / cpu).toFixed(2)} | ${(100 * drafted).toFixed(0)} % |`,
    )
  }
  const at = (k: number) => verify.get([...verify.keys()].find((length) => length >= k) as number) as number
  const costs = { acceptance, draft: cost, verify: at }
  lines.push(
    `\n${draft}: dense ${dense.toFixed(1)} ms/token, ${denseCpu.toFixed(1)} of CPU time; the best length by the cost model: ${bestLength(costs, 8)}\n`,
  )
}
writeStdout(`${lines.join('\n')}\n`)
model.dispose()
process.exit(0)
