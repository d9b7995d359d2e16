import { mkdirSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { SkipstoneError } from '../errors.js'
import { type Invocation, parseArguments } from './arguments.js'
import { runInBrowser } from './browser-backend.js'
import type { CalibrateOutcome } from './commands/calibrate.js'
import type { ConvertOutcome } from './commands/convert.js'
import type { GenerateOutcome } from './commands/generate.js'
import type { Request } from './commands/index.js'
import type { TuneOutcome } from './commands/tune.js'
import { type Places, runOnDawn } from './dawn-backend.js'
import { loraLocation, modelLocation, routersLocation } from './locations.js'
import { report } from './report.js'
import { resolveUserPath } from './user-path.js'

export interface Terminal {
  readonly signal: AbortSignal
  /** Writes the result. Everything else goes to standard error. */
  readonly print: (text: string) => void
}

/** Runs one command and writes the files that it was asked for; returns the exit status. */
export async function runCommandLine(argv: readonly string[], { signal, print }: Terminal): Promise<0 | 1> {
  try {
    const invocation = parseArguments(argv)
    const result = await run(invocation, signal)
    const plain = saveFiles(invocation, result)
    const command = `skipstone ${argv.join(' ')}`
    print(invocation.json ? `${JSON.stringify(plain)}\n` : report(invocation.request, plain, command))
    return 0
  } catch (error) {
    const { code, message } = error instanceof SkipstoneError ? error : { code: 'internal', message: String(error) }
    if (argv.includes('--json')) print(`${JSON.stringify({ error: { code, message } })}\n`)
    else process.stderr.write(`${code}: ${message}\n`)
    if (!(error instanceof SkipstoneError)) console.error(error)
    return 1
  }
}

function run(invocation: Invocation, signal: AbortSignal): Promise<unknown> {
  const { request, backend, adapter, routers, lora } = invocation
  const places: Places = {
    model: readsModel(request) ? modelLocation(invocation.model) : undefined,
    routers: routers === undefined ? undefined : routersLocation(routers),
    lora: lora === undefined ? undefined : loraLocation(lora),
  }
  const reporting = { signal, progress: (text: string) => void process.stderr.write(text) }
  return backend === 'dawn'
    ? runOnDawn(request, places, adapter, reporting)
    : runInBrowser(backend, request, places, adapter, reporting)
}

function readsModel(request: Request): boolean {
  return request.command === 'bench' ? request.own !== undefined : request.command !== 'convert'
}

/** Writes the files that were asked for; returns the result proper. */
function saveFiles(invocation: Invocation, outcome: unknown): unknown {
  switch (invocation.request.command) {
    case 'generate':
      return saveGenerated(invocation, outcome as GenerateOutcome)
    case 'calibrate': {
      const { out, profile } = outcome as CalibrateOutcome
      writeFileSync(resolveUserPath(out), `${JSON.stringify(profile)}\n`)
      return outcome
    }
    case 'convert': {
      const { result, file } = outcome as ConvertOutcome
      writeFileSync(resolveUserPath(result.out), file)
      return result
    }
    case 'tune': {
      const { result, files } = outcome as TuneOutcome
      const folder = resolveUserPath(result.out)
      mkdirSync(folder, { recursive: true })
      for (const { name, base64 } of files) writeFileSync(path.join(folder, name), Buffer.from(base64, 'base64'))
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
