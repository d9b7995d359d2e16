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
  /** Whether all bytes below the node are plain. */
  readonly plainBelow: Uint8Array
  readonly maxDepth: number
}

/** Printable ASCII but for `"` and `\`: what most of a vocabulary is made of, and what JSON strings and most texts take in any order. */
export const PLAIN_BYTES: readonly number[] = Array.from({ length: 95 }, (_, i) => i + 0x20).filter(
  (byte) => byte !== 0x22 && byte !== 0x5c,
)

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

/**
 * Sorts tokens by their bytes from the first byte on, a node at a time: a node's own tokens come first, then those of each
 * child. In which order children come is no matter.
 */
function build(vocabulary: Vocabulary): VocabularyTrie {
  const stops = new Set(vocabulary.stopIds)
  const bytes: (Uint8Array | undefined)[] = []
  const ids: number[] = []
  let room = 0
  let maxDepth = 0
  for (let id = 0; id < vocabulary.size; id++) {
    const content = stops.has(id) ? undefined : vocabulary.bytes(id)
    bytes.push(content)
    // A token of no bytes could be emitted for ever.
    if (!content || content.length === 0 || content.length > MAX_TOKEN_BYTES) continue
    ids.push(id)
    room += content.length
    maxDepth = Math.max(maxDepth, content.length)
  }
  const nodes = new Nodes(room)
  const tokens = Int32Array.from(ids)
  const scratch = new Int32Array(tokens.length)
  const counts = new Int32Array(256)
  // Groups of tokens that begin with the same `depth` bytes: from, to, depth. The next one is on top.
  const groups = tokens.length > 0 ? [0, tokens.length, 0] : []
  while (groups.length > 0) {
    const depth = groups.pop()!
    const to = groups.pop()!
    const from = groups.pop()!
    const shared = bytes[tokens[from]!]!
    if (depth > 0) nodes.add(shared[depth - 1]!, depth, from)

    let own = from
    for (let i = from; i < to; i++) {
      const token = tokens[i]!
      if (bytes[token]!.length > depth) continue
      tokens[i] = tokens[own]!
      tokens[own++] = token
    }
    if (to - own === 1) {
      // Most tokens are alone after a few bytes.
      const rest = bytes[tokens[own]!]!
      for (let at = depth; at < rest.length; at++) nodes.add(rest[at]!, at + 1, own)
      continue
    }
    const present: number[] = []
    for (let i = own; i < to; i++) {
      const byte = bytes[tokens[i]!]![depth]!
      if (counts[byte]!++ === 0) present.push(byte)
      scratch[i] = tokens[i]!
    }
    let end = to
    for (const byte of present) {
      const start = end - counts[byte]!
      groups.push(start, end, depth + 1)
      counts[byte] = end = start
    }
    for (let i = own; i < to; i++) {
      const token = scratch[i]!
      tokens[counts[bytes[token]![depth]!]!++] = token
    }
    for (const byte of present) counts[byte] = 0
  }
  return { ...nodes.finish(tokens.length), tokens, maxDepth }
}

/** Nodes as they are added, depth first. */
class Nodes {
  readonly #byte: Uint8Array
  readonly #depth: Uint16Array
  readonly #skip: Int32Array
  readonly #first: Int32Array
  /** By depth: the node that is open there. */
  readonly #open: number[] = []
  #count = 0

  constructor(room: number) {
    this.#byte = new Uint8Array(room)
    this.#depth = new Uint16Array(room)
    this.#skip = new Int32Array(room)
    this.#first = new Int32Array(room + 1)
  }

  add(byte: number, depth: number, first: number): void {
    const node = this.#count++
    this.#close(depth - 1, node)
    this.#open.push(node)
    this.#byte[node] = byte
    this.#depth[node] = depth
    this.#first[node] = first
  }

  #close(depth: number, next: number): void {
    while (this.#open.length > depth) this.#skip[this.#open.pop()!] = next
  }

  finish(tokens: number): Omit<VocabularyTrie, 'tokens' | 'maxDepth'> {
    const count = this.#count
    this.#close(0, count)
    this.#first[count] = tokens
    const byte = this.#byte.slice(0, count)
    const skip = this.#skip.slice(0, count)
    return {
      byte,
      depth: this.#depth.slice(0, count),
      skip,
      plainBelow: findPlain(byte, skip),
      first: this.#first.slice(0, count + 1),
    }
  }
}

function findPlain(byte: Uint8Array, skip: Int32Array): Uint8Array {
  const isPlain = new Uint8Array(256)
  for (const plain of PLAIN_BYTES) isPlain[plain] = 1
  const below = new Uint8Array(byte.length)
  for (let node = byte.length - 1; node >= 0; node--) {
    let plain = 1
    for (let child = node + 1; child < skip[node]!; child = skip[child]!)
      plain &= isPlain[byte[child]!]! & below[child]!
    below[node] = plain
  }
  return below
}
