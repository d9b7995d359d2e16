import { loadModel as loadOnPage } from '../src/index.js'
import { type LoadOptions, loadModel, type Model, type ModelSource, SkipstoneError } from '../src/worker/index.js'

/** Loads in a worker, so that the page stays responsive; on the page where workers have no WebGPU, as in some browsers. */
export async function load(source: ModelSource, options: LoadOptions): Promise<Model> {
  try {
    return await loadModel(source, options)
  } catch (error) {
    const absent = error instanceof SkipstoneError && ['no-webgpu', 'unsupported'].includes(error.code)
    if (!absent) throw error
    return loadOnPage(source, options)
  }
}
