import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { type VocabularyTrie, vocabularyTrie } from '../../src/grammar/vocabulary-trie.js'

/** Every node's text and tokens, and where its `skip` leads. */
function nodesOf(trie: VocabularyTrie) {
  const path: number[] = []
  return Array.from(trie.byte, (byte, node) => {
    path.length = trie.depth[node]! - 1
    path.push(byte)
    return {
      text: path.join(),
      tokens: [...trie.tokens.slice(trie.first[node], trie.first[node + 1])],
      skip: trie.skip[node]!,
    }
  })
}

describe('vocabularyTrie', () => {
  it('has every token once, at its text, and skips just what is below', () => {
    const token = fc.option(fc.uint8Array({ max: 3, maxLength: 6 }), { nil: undefined })
    fc.assert(
      fc.property(fc.array(token, { maxLength: 60 }), (tokens) => {
        const stop = tokens.length
        const vocabulary = {
          size: stop + 1,
          bytes: (id: number) => (id === stop ? Uint8Array.of(1) : tokens[id]),
          stopIds: [stop],
        }
        const trie = vocabularyTrie(vocabulary)
        const nodes = nodesOf(trie)
        expect(new Set(nodes.map(({ text }) => text)).size).toBe(nodes.length)
        nodes.forEach(({ text, skip }, node) => {
          const below = nodes.filter((other) => other.text === text || other.text.startsWith(`${text},`)).length
          expect(skip).toBe(node + below)
        })
        const found = nodes
          .flatMap(({ text, tokens: ids }) => ids.map((id) => [id, text] as const))
          .sort((a, b) => a[0] - b[0])
        expect(found).toEqual(tokens.flatMap((bytes, id) => (bytes?.length ? [[id, bytes.join()]] : [])))
        expect(vocabularyTrie(vocabulary)).toBe(trie)
      }),
      { numRuns: 500 },
    )
  })

  it('takes very long tokens', () => {
    const long = [new Uint8Array(60_000), new Uint8Array(60_001), new Uint8Array(70_000)]
    const trie = vocabularyTrie({ size: 4, bytes: (id) => long[id], stopIds: [3] })
    expect(trie.maxDepth).toBe(60_001)
    expect([...trie.tokens]).toEqual([0, 1])
  })
})
