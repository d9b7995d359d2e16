import { spawnSync } from 'node:child_process'
import path from 'node:path'
import { describe, expect, it } from 'vitest'
import { sharedDir, sharedPresent } from '../fixtures/golden.js'
import { pythonWith } from '../fixtures/python.js'

const SCRIPTS = path.join(import.meta.dirname, '../../tools/train')

const python = pythonWith('torch', 'numpy', 'regex')

describe.skipIf(!python)('the training scripts', () => {
  it('repeat their loss curves, resume, and agree with golden losses and gradients', () => {
    const golden = sharedPresent ? ['--golden', path.join(sharedDir, 'golden')] : []
    const { status, stdout, stderr } = spawnSync(python as string, ['check.py', ...golden], {
      cwd: SCRIPTS,
      encoding: 'utf8',
    })
    expect(stdout + stderr).not.toContain('BAD')
    expect(status).toBe(0)
  })
})
