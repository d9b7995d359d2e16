import { SkipstoneError } from '../../errors.js'
import type { Model } from '../../sdk/model-api.js'
import { windowsOf } from '../../study/evaluate.js'

/** How a text becomes windows of ids. */
export interface TextCut {
  /** Ids of a window at most. Default: the model's context. */
  readonly context?: number
  /** So many whole windows, spread evenly over the text. Default: all of it. */
  readonly windowCount?: number
}

/** A text as windows of ids, each with BOS first. @throws `unsupported` for a model without BOS, `bad-option` for too short a text. */
export async function textWindows(
  model: Model,
  text: string,
  { context = model.config.contextLength, windowCount }: TextCut,
): Promise<number[][]> {
  const bos = model.config.bosTokenId ?? model.generation.bosTokenId
  if (bos === undefined) {
    throw new SkipstoneError('unsupported', 'This model names no BOS token: give windows of ids with --ids-file.')
  }
  const ids = await model.text.encode(text, { addSpecialTokens: false })
  const all = windowsOf(ids, context, bos)
  return windowCount === undefined ? all : spread(all, context, windowCount)
}

function spread(all: readonly number[][], length: number, count: number): number[][] {
  const whole = all.filter((window) => window.length === length)
  if (count >= 1 && count <= whole.length) {
    const apart = count === 1 ? 0 : (whole.length - 1) / (count - 1)
    return Array.from({ length: count }, (_, i) => whole[Math.trunc(i * apart)] as number[])
  }
  throw new SkipstoneError(
    'bad-option',
    `The text has ${whole.length} windows of ${length} tokens: --windows takes 1 to that, not ${count}.`,
  )
}
