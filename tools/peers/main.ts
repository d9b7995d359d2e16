import { SkipstoneError } from '../../src/errors.js'
import { writeStdout } from '../../src/node/own-stdout.mjs'
import { comparePeers } from './compare.js'
import { installPeers, peerVersions } from './install.js'
import { parseSelection, USAGE } from './selection.js'
import { table } from './table.js'

/* Compares Skipstone with other engines in the same browsers; see BENCH.md, "Against peers". */

const argv = process.argv.slice(2)
if (argv.includes('--help')) {
  writeStdout(USAGE)
  process.exit(0)
}
try {
  const selection = parseSelection(argv)
  installPeers()
  const rows = await comparePeers(selection, (text) => void process.stderr.write(text))
  const command = `npm run bench:peers -- ${argv.join(' ')}`
  writeStdout(selection.json ? `${JSON.stringify({ command, peers: peerVersions(), rows })}\n` : table(rows, command))
  // Live GPU devices keep Node from ending by itself.
  process.exit(0)
} catch (error) {
  if (!(error instanceof SkipstoneError)) throw error
  process.stderr.write(`${error.code}: ${error.message}\n`)
  process.exit(1)
}
