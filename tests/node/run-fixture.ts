// The program of run.test.ts: what the command line needs of tools/run.mjs, in small.
import type { DawnGpu } from '../../src/node/dawn.js'
import { writeStdout } from '../../src/node/own-stdout.mjs'

async function main([status, adapter]: string[]): Promise<void> {
  const { createDawnGpu } = await import('../../src/node/dawn.js')
  const { resolveUserPath } = await import('../../src/node/user-path.js')
  if (adapter === 'auto') await makeDawnPrint(await createDawnGpu(adapter))
  writeStdout(JSON.stringify({ file: resolveUserPath('file.txt'), arguments: process.argv.slice(2) }))
  process.exit(Number(status))
}

/** Dawn reports a mistake that nobody catches on descriptor 1. */
async function makeDawnPrint({ gpu }: DawnGpu): Promise<void> {
  const device = await (await gpu.requestAdapter())!.requestDevice()
  device.createShaderModule({ code: 'not a shader' })
  await device.queue.onSubmittedWorkDone()
  device.destroy()
}

if (process.argv[2] === 'throw') throw new Error('thrown on purpose')
if (process.argv[2] === 'wait') {
  writeStdout('waiting')
  setInterval(() => {}, 1000)
} else {
  void main(process.argv.slice(2)) // not awaited: modules that are imported later must load as well
}
