import type { Vocabulary } from './vocabulary.js'

/**
 * All tokens of a vocabulary by their bytes. Nodes are in depth-first order: a node's children follow it, and `skip` is
 * the next node that is not below it, so a walk needs no stack but one entry a level.
 */
export interface VocabularyTrie {
  readonly byte: Uint8Array
  /** From 1: the length of the node's text in bytes. */
  readonly depth: Uint16Array
  readonly skip: Int32Array
  /** Tokens of the node are `tokens[first[node]]` up to `tokens[first[node + 1]]`. */
  readonly first: Int32Array
  readonly tokens: Int32Array
  readonly maxDepth: number
}

/** Longer tokens, which no vocabulary has, are not offered. */
const MAX_TOKEN_BYTES = 0xffff

const tries = new WeakMap<Vocabulary, VocabularyTrie>()

/** The trie of a vocabulary, built on the first call. */
export function vocabularyTrie(vocabulary: Vocabulary): VocabularyTrie {
  const known = tries.get(vocabulary)
  if (known) return known
  const trie = build(vocabulary)
  tries.set(vocabulary, trie)
  return trie
}

/** Bytes as a string of as many characters: engines compare strings much faster than arrays. */
function asText(bytes: Uint8Array): string {
  let text = ''
  for (const byte of bytes) text += String.fromCharCode(byte)
  return text
}

function build(vocabulary: Vocabulary): VocabularyTrie {
  const stops = new Set(vocabulary.stopIds)
  const entries: { id: number; text: string }[] = []
  let room = 0
  for (let id = 0; id < vocabulary.size; id++) {
    const content = stops.has(id) ? undefined : vocabulary.bytes(id)
    // A token of no bytes could be emitted for ever.
    if (!content || content.length === 0 || content.length > MAX_TOKEN_BYTES) continue
    entries.push({ id, text: asText(content) })
    room += content.length
  }
  entries.sort((a, b) => (a.text < b.text ? -1 : a.text > b.text ? 1 : a.id - b.id))

  const byte = new Uint8Array(room)
  const depth = new Uint16Array(room)
  const skip = new Int32Array(room)
  const first = new Int32Array(room + 1)
  /** By depth: the node that is open there. */
  const open: number[] = []
  const closeFrom = (level: number, node: number) => {
    while (open.length > level) skip[open.pop()!] = node
  }
  let nodes = 0
  let previous = ''
  let maxDepth = 0
  entries.forEach(({ text }, i) => {
    let shared = 0
    while (shared < previous.length && text.charCodeAt(shared) === previous.charCodeAt(shared)) shared++
    if (shared < text.length) closeFrom(shared, nodes)
    for (let at = shared; at < text.length; at++) {
      open.push(nodes)
      byte[nodes] = text.charCodeAt(at)
      depth[nodes] = at + 1
      // Nodes on the way to this token have none of their own: those would have come before.
      first[nodes++] = i
    }
    first[nodes] = i + 1
    previous = text
    maxDepth = Math.max(maxDepth, text.length)
  })

  closeFrom(0, nodes)
  return {
    byte: byte.slice(0, nodes),
    depth: depth.slice(0, nodes),
    skip: skip.slice(0, nodes),
    first: first.slice(0, nodes + 1),
    tokens: Int32Array.from(entries, ({ id }) => id),
    maxDepth,
  }
}
