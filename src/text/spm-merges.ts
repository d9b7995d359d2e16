/**
 * The merges of a BPE that cuts text as SentencePiece does with scored pieces, best first, after `generate_merges` of
 * transformers' convert_slow_tokenizer.py: a piece can be made of any two others that spell it; pieces with higher scores come
 * first; among equal scores the pair with the longer left half, then with the longer right half, then the piece with the lower id.
 *
 * `vocab`: piece -> id; `scores[id]`; `mergeable(id)`: whether text may become this piece (control tokens, for one, may not).
 */
export function spmMerges(
  vocab: ReadonlyMap<string, number>,
  scores: ArrayLike<number>,
  mergeable: (id: number) => boolean,
): [left: string, right: string][] {
  const merges: { left: string; right: string; score: number; leftLength: number; rightLength: number }[] = []
  for (const [piece, id] of vocab) {
    if (!mergeable(id)) continue
    const characters = [...piece]
    let at = 0
    for (let leftLength = 1; leftLength < characters.length; leftLength++) {
      at += characters[leftLength - 1]!.length
      const left = piece.slice(0, at)
      const right = piece.slice(at)
      const leftId = vocab.get(left)
      const rightId = vocab.get(right)
      if (leftId === undefined || rightId === undefined || !mergeable(leftId) || !mergeable(rightId)) continue
      merges.push({ left, right, score: scores[id]!, leftLength, rightLength: characters.length - leftLength })
    }
  }
  // Like Python's, this sort is stable, and like Python's `reverse` it keeps the order of equals.
  merges.sort((a, b) => b.score - a.score || b.leftLength - a.leftLength || b.rightLength - a.rightLength)
  return merges.map(({ left, right }) => [left, right])
}
