import { spawnSync } from 'node:child_process'
import path from 'node:path'
import { describe, expect, it } from 'vitest'
import { sharedDir, sharedPresent } from '../fixtures/golden.js'

const SCRIPTS = path.join(import.meta.dirname, '../../tools/train')

/** A Python that has what the scripts need. */
const python = ['python3', '/usr/bin/python3'].find(
  (name) => spawnSync(name, ['-c', 'import torch, numpy, regex']).status === 0,
)

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
