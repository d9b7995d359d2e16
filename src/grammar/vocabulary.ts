/** The tokens that a model may emit, as bytes of the text that they make. */
export interface Vocabulary {
  /** How many scores the model gives: a mask has a bit for each. */
  readonly size: number
  /** The bytes of a token, undefined for one that is no text and never allowed. Must not change. */
  bytes(id: number): Uint8Array | undefined
  /** Tokens that end the text. They are no text, whatever `bytes` says. */
  readonly stopIds: readonly number[]
}
