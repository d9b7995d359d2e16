/** What a page is told to load. */
export interface PageModel {
  /** Of the folder with the model's files, ending with a slash. */
  readonly url: string
  readonly layers: number
  readonly kvHeads: number
  readonly headDim: number
  /** Positions that prompts and answers need. */
  readonly contextLength: number
}

/** An engine as the benchmark drives it. */
export interface PeerEngine {
  load(model: PageModel): Promise<void>
  /** Answers a prompt from an empty context with exactly `count` greedy tokens, and tells of each when the user would see it. */
  generate(prompt: readonly number[], count: number, onToken: (id: number) => void): Promise<void>
}

export interface GenerateRequest {
  readonly prompt: readonly number[]
  readonly count: number
}

export interface GenerateTiming {
  readonly ids: readonly number[]
  /** From the call to the first token. */
  readonly firstMs: number
  /** From the first token to the last. */
  readonly restMs: number
}

/** Makes the engine what Node calls. */
export function host(open: () => Promise<PeerEngine>): void {
  let engine: PeerEngine | undefined
  const skipstoneHost = {
    /** Milliseconds from nothing, not even the engine's code, to an engine that takes prompts. */
    async load(model: PageModel): Promise<number> {
      const started = performance.now()
      engine = await open()
      await engine.load(model)
      return performance.now() - started
    },
    async generate({ prompt, count }: GenerateRequest): Promise<GenerateTiming> {
      const ids: number[] = []
      const started = performance.now()
      let first = started
      let last = started
      await engine!.generate(prompt, count, (id) => {
        last = performance.now()
        if (ids.length === 0) first = last
        ids.push(id)
      })
      return { ids, firstMs: first - started, restMs: last - first }
    },
  }
  Object.assign(globalThis, { skipstoneHost })
}
