import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { describe, expect, it } from 'vitest'
import { findDriverManifest } from '../../src/node/adapters.js'

const root = path.resolve(import.meta.dirname, '../..')
const command = [path.join(root, 'tools/run.mjs'), 'tests/node/run-fixture.ts']
const CI = process.env.CI !== undefined

function run(...words: string[]) {
  const env = { ...process.env, INIT_CWD: path.join(root, 'tests') }
  return spawnSync(process.execPath, [...command, ...words], { cwd: tmpdir(), env, encoding: 'utf8' })
}

describe('tools/run.mjs', () => {
  it('runs a module with its arguments, prints nothing of its own, and keeps the exit status', () => {
    const { stdout, stderr, status } = run('7', '--flag', 'a b')
    expect(JSON.parse(stdout)).toEqual({
      file: path.join(root, 'tests/file.txt'),
      arguments: ['7', '--flag', 'a b'],
    })
    expect(stderr).toBe('')
    expect(status).toBe(7)
  })

  it.skipIf(!CI && findDriverManifest('lavapipe') === undefined)('keeps what Dawn prints off standard output', () => {
    const { stdout, stderr, status } = run('0', 'auto')
    expect(JSON.parse(stdout)).toMatchObject({ arguments: ['0', 'auto'] })
    expect(stderr).toContain('Error while parsing WGSL')
    expect(status).toBe(0)
  })

  it('shows an error that nobody caught', () => {
    const { stdout, stderr, status } = run('throw')
    expect(stdout).toBe('')
    expect(stderr).toContain('thrown on purpose')
    expect(status).toBe(1)
  })

  it('passes on the signal that ends it', async () => {
    const child = spawn(process.execPath, [...command, 'wait'], { stdio: ['ignore', 'pipe', 'inherit'] })
    await once(child.stdout, 'data')
    child.kill('SIGTERM')
    const closed = once(child.stdout, 'close') // only when the inner process has ended too
    expect((await once(child, 'exit'))[0]).toBe(128 + 15)
    await closed
  })
})
