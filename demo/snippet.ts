/** What the snippet says. */
export interface SnippetSettings {
  /** As source code: an address in quotes, or what the reader has to replace. */
  readonly source: string
  readonly options: Readonly<Record<string, string>>
  /** A call that makes the policy. */
  readonly policy: string
  readonly prompt: string
  readonly chat: boolean
  readonly maxTokens: number
  readonly temperature: number
  readonly seed: number
}

/** The program of a few lines that does what the page is set to do. */
export function snippet(s: SnippetSettings): string {
  const options = Object.entries(s.options).map(([key, value]) => `${key}: ${value}`)
  const makes = s.policy.slice(0, s.policy.indexOf('('))
  const sampling = `{ maxTokens: ${s.maxTokens}, temperature: ${s.temperature}, seed: ${s.seed} }`
  const prompt = JSON.stringify(s.prompt)
  const steps = s.chat
    ? `session.chat([{ role: 'user', content: ${prompt} }], ${sampling})`
    : `session.generate(${prompt}, ${sampling})`
  return [
    `import { ${makes}, loadModel } from 'skipstone/worker'`,
    '',
    `const model = await loadModel(${[s.source, ...(options.length > 0 ? [`{ ${options.join(', ')} }`] : [])].join(', ')})`,
    `const session = model.createSession({ policy: ${s.policy} })`,
    `for await (const step of ${steps}) {`,
    '  output.textContent += step.text',
    '}',
    'console.log(session.stats().skip)',
    'model.dispose()',
  ].join('\n')
}
