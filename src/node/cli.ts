import { writeFileSync } from 'node:fs'
import { SkipstoneError } from '../errors.js'
import { type Invocation, parseArguments, USAGE } from './arguments.js'
import { runInBrowser } from './browser-backend.js'
import type { ConvertOutcome } from './commands/convert.js'
import type { GenerateOutcome } from './commands/generate.js'
import { type Places, runOnDawn } from './dawn-backend.js'
import { loraLocation, modelLocation, routersLocation } from './locations.js'
import { ownStdout, writeStdout } from './own-stdout.mjs'
import { report } from './report.js'
import { resolveUserPath } from './user-path.js'

// Dawn prints on standard output from native code; with --json nothing but the result may appear there.
await ownStdout()
const argv = process.argv.slice(2)
if (argv.length === 0 || argv[0] === 'help' || argv.includes('--help')) {
  writeStdout(USAGE)
  process.exit(0)
}
// Live GPU devices keep Node from ending by itself.
process.exit(await main(argv))

async function main(argv: readonly string[]): Promise<0 | 1> {
  const abort = new AbortController()
  process.once('SIGINT', () => abort.abort())
  try {
    const invocation = parseArguments(argv)
    const result = await run(invocation, abort.signal)
    const plain = saveFiles(invocation, result)
    const command = `skipstone ${argv.join(' ')}`
    writeStdout(invocation.json ? `${JSON.stringify(plain)}\n` : report(invocation.request, plain, command))
    return 0
  } catch (error) {
    const { code, message } = error instanceof SkipstoneError ? error : { code: 'internal', message: String(error) }
    if (argv.includes('--json')) writeStdout(`${JSON.stringify({ error: { code, message } })}\n`)
    else process.stderr.write(`${code}: ${message}\n`)
    if (!(error instanceof SkipstoneError)) console.error(error)
    return 1
  }
}

function run(invocation: Invocation, signal: AbortSignal): Promise<unknown> {
  const { request, backend, adapter, routers, lora } = invocation
  const places: Places = {
    model: ['bench', 'convert'].includes(request.command) ? undefined : modelLocation(invocation.model),
    routers: routers === undefined ? undefined : routersLocation(routers),
    lora: lora === undefined ? undefined : loraLocation(lora),
  }
  const reporting = { signal, progress: (text: string) => void process.stderr.write(text) }
  return backend === 'dawn'
    ? runOnDawn(request, places, adapter, reporting)
    : runInBrowser(backend, request, places, adapter, reporting)
}

/** Writes the files that were asked for; returns the result proper. */
function saveFiles(invocation: Invocation, outcome: unknown): unknown {
  switch (invocation.request.command) {
    case 'generate':
      return saveGenerated(invocation, outcome as GenerateOutcome)
    case 'convert': {
      const { result, file } = outcome as ConvertOutcome
      writeFileSync(resolveUserPath(result.out), file)
      return result
    }
    default:
      return outcome
  }
}

function saveGenerated(invocation: Invocation, outcome: GenerateOutcome): GenerateOutcome['result'] {
  if (invocation.logitsFile && outcome.logits) {
    const view = new DataView(new ArrayBuffer(4 * outcome.logits.length))
    outcome.logits.forEach((logit, i) => {
      view.setFloat32(4 * i, logit, true)
    })
    writeFileSync(invocation.logitsFile, new Uint8Array(view.buffer))
  }
  if (invocation.traceFile && outcome.trace) writeFileSync(invocation.traceFile, JSON.stringify(outcome.trace))
  return outcome.result
}
