import { createDawnGpu, type DawnGpu } from '../../src/node/dawn.js'
import { DirectorySource } from '../../src/node/fs-source.js'
import { loadEngineModel } from '../../src/sdk/load-model.js'

/** Dawn's devices fail when this is collected. */
let dawn: DawnGpu | undefined

/** The greedy tokens that follow on a prompt, by Skipstone in this process, whose kernels are tested against f64. */
export async function expectedTokens(folder: string, prompt: readonly number[], count: number): Promise<number[]> {
  dawn ??= await createDawnGpu('auto')
  const model = await loadEngineModel(new DirectorySource(folder), { gpu: dawn.gpu })
  try {
    const ids: number[] = []
    const session = model.createSession({ contextLength: prompt.length + count })
    for await (const step of session.generate(prompt, { maxTokens: count, temperature: 0, ignoreEos: true })) {
      if (step.kind === 'token') ids.push(step.token)
    }
    return ids
  } finally {
    model.dispose()
  }
}
