/** A part of a model that either stays in GPU memory or is brought for every token that needs it. */
export interface Piece {
  readonly bytes: number
  /** Share of the tokens that need it, 0 to 1. */
  readonly runs: number
}

/**
 * The pieces that stay where there is room for `room` bytes: those that most tokens need, and so save most per byte. Of equals,
 * the first; a piece that does not fit leaves its place to those behind it.
 */
export function choosePieces<T extends Piece>(pieces: readonly T[], room: number): Set<T> {
  const kept = new Set<T>()
  let left = room
  for (const piece of [...pieces].sort((a, b) => b.runs - a.runs)) {
    if (piece.bytes > left) continue
    kept.add(piece)
    left -= piece.bytes
  }
  return kept
}

/** Bytes that a token moves on average where `kept` stay and the other pieces come when they are needed. */
export function bytesPerToken<T extends Piece>(pieces: readonly T[], kept: ReadonlySet<T>): number {
  let bytes = 0
  for (const piece of pieces) if (!kept.has(piece)) bytes += piece.runs * piece.bytes
  return bytes
}

/** Tokens within which a change of what stays has to pay for itself: shares that were counted wobble by more than a few percent. */
const HORIZON = 16

/** What should stay instead of `kept`; undefined where bringing it would cost more than it saves within the next tokens. */
export function betterPieces<T extends Piece>(
  pieces: readonly T[],
  kept: ReadonlySet<T>,
  room: number,
): Set<T> | undefined {
  const wanted = choosePieces(pieces, room)
  let cost = 0
  for (const piece of wanted) if (!kept.has(piece)) cost += piece.bytes
  const saved = HORIZON * (bytesPerToken(pieces, kept) - bytesPerToken(pieces, wanted))
  return saved > cost ? wanted : undefined
}
