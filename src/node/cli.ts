import { USAGE } from './arguments.js'
import { runCommandLine } from './command-line.js'
import { ownStdout, writeStdout } from './own-stdout.mjs'

// Dawn prints on standard output from native code; with --json nothing but the result may appear there.
await ownStdout()
const argv = process.argv.slice(2)
if (argv.length === 0 || argv[0] === 'help' || argv.includes('--help')) {
  writeStdout(USAGE)
  process.exit(0)
}
const abort = new AbortController()
process.once('SIGINT', () => abort.abort())
// Live GPU devices keep Node from ending by itself.
process.exit(await runCommandLine(argv, { signal: abort.signal, print: writeStdout }))
