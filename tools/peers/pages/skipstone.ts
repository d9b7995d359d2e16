import { host, type PageModel, type PeerEngine } from './host.js'

host(async () => {
  const { loadModel } = await import('../../../src/index.js')
  return new (class implements PeerEngine {
    #session: ReturnType<Awaited<ReturnType<typeof loadModel>>['createSession']> | undefined

    async load({ url, contextLength }: PageModel): Promise<void> {
      const model = await loadModel(new URL(url, location.href), { store: false })
      this.#session = model.createSession({ contextLength })
    }

    async generate(prompt: readonly number[], count: number, onToken: (id: number) => void): Promise<void> {
      const session = this.#session!
      session.rewind(0)
      for await (const step of session.generate(prompt, { maxTokens: count, temperature: 0, ignoreEos: true })) {
        if (step.kind === 'token') onToken(step.token)
      }
    }
  })()
})
