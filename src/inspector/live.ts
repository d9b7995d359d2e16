import type { Step } from '../index.js'
import type { Piece, TokenStore } from './token-store.js'

/** The part of `model.text` that names tokens. */
export interface TextSource {
  pieces(ids: readonly number[], before?: readonly number[]): Promise<readonly { text: string; special: boolean }[]>
}

/** The pieces of a step's tokens; none where ids have to do, as for a model without tokenizer. */
export async function stepPieces(
  step: Step,
  store: TokenStore,
  text: TextSource | undefined,
): Promise<readonly Piece[]> {
  try {
    if (step.kind === 'prompt') {
      const before = Array.from({ length: Math.min(step.position, store.length) }, (_, i) => store.token(i).id)
      return (await text?.pieces(step.tokens, before)) ?? []
    }
    if (step.kind === 'token' && step.text === '') {
      // Where it is no special token, its text comes with a later step.
      const [piece] = (await text?.pieces([step.token])) ?? []
      return piece?.special ? [piece] : []
    }
  } catch {
    // The text is worth less than the generation that goes on.
  }
  return []
}
