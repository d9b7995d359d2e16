import { expect, it } from 'vitest'
import { snippet } from '../../demo/snippet.js'

const SETTINGS = {
  source: "'owner/name'",
  options: { dtype: "'q4'" },
  policy: 'skipgpt({ budget: 0.3 })',
  prompt: 'Say "hi"\n</script>',
  chat: false,
  maxTokens: 20,
  temperature: 0.8,
  seed: 1,
}

it('is a program of ten lines at most', () => {
  const code = snippet(SETTINGS)
  expect(code.split('\n').length).toBeLessThanOrEqual(10)
  expect(code).toContain("import { skipgpt, loadModel } from 'skipstone/worker'")
  expect(code).toContain("loadModel('owner/name', { dtype: 'q4' })")
  expect(code).toContain('session.generate("Say \\"hi\\"\\n</script>", { maxTokens: 20, temperature: 0.8, seed: 1 })')
})

it('leaves out options where there are none', () => {
  expect(snippet({ ...SETTINGS, options: {}, chat: true })).toContain("loadModel('owner/name')\n")
})
