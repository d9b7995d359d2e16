import { SkipstoneError } from '../../errors.js'
import type { Model } from '../../sdk/model-api.js'
import { windowsOf } from '../../study/evaluate.js'

/** A text as windows of at most `context` ids, each with BOS first. @throws `unsupported` for a model without BOS. */
export async function textWindows(model: Model, text: string, context: number | undefined): Promise<number[][]> {
  const bos = model.config.bosTokenId ?? model.generation.bosTokenId
  if (bos === undefined) {
    throw new SkipstoneError('unsupported', 'This model names no BOS token: give windows of ids with --ids-file.')
  }
  const ids = await model.text.encode(text, { addSpecialTokens: false })
  return windowsOf(ids, context ?? model.config.contextLength, bos)
}
