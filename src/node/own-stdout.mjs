// Plain JavaScript with its types beside it, because `tools/run.mjs` needs it before any TypeScript can be loaded.
import { spawn } from 'node:child_process'
import { writeSync } from 'node:fs'
import { constants } from 'node:os'

const OUTPUT = 3
const MARK = 'SKIPSTONE_STDOUT_OF'

/** Whether this process is the child that `ownStdout` started; the mark names its parent, so it means nothing further down. */
const isChild = process.env[MARK] === String(process.ppid)

export async function ownStdout() {
  if (isChild) {
    // A parent that was killed cannot pass anything on: its end of the channel closing is the sign.
    process.once('disconnect', () => process.exit(1))
    process.channel?.unref()
    return
  }
  const child = spawn(process.execPath, [...process.execArgv, ...process.argv.slice(1)], {
    stdio: ['inherit', 2, 2, 1, 'ipc'],
    env: { ...process.env, [MARK]: String(process.pid) },
  })
  for (const signal of ['SIGTERM', 'SIGHUP', 'SIGINT']) {
    process.on(signal, () => {
      // A terminal sends Ctrl-C to the child as well, and a second one would mean impatience.
      if (signal !== 'SIGINT' || !process.stdin.isTTY) child.kill(signal)
    })
  }
  const status = await new Promise((resolve, reject) => {
    child.once('error', reject)
    child.once('exit', (code, signal) => resolve(code ?? 128 + (constants.signals[signal] ?? 0)))
  })
  process.exit(status)
}

export function writeStdout(text) {
  let rest = Buffer.from(text)
  while (rest.length > 0) {
    try {
      rest = rest.subarray(writeSync(isChild ? OUTPUT : 1, rest))
    } catch (error) {
      if (error.code === 'EPIPE') process.exit(1) // The reader has gone, as with `| head`.
      if (error.code !== 'EAGAIN') throw error
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 2)
    }
  }
}
