import { SkipstoneError } from '../errors.js'
import type { TraceFile, TraceStep } from '../index.js'
import { type Origin, type Piece, TokenStore } from './token-store.js'

/** A position of a saved trace, with what the inspector knows besides. Absent fields are unknown. */
export interface InspectorTraceStep extends TraceStep {
  /** The token's own part of the text; '' where a character ends in a later token. */
  text?: string
  /** A token such as `<s>`, whose text is its name. */
  special?: boolean
  origin?: Origin
  /** What it ran was not reported: its patterns are zeros and mean nothing. */
  unknown?: boolean
}

/** What the inspector saves: a `TraceFile` with texts. */
export interface InspectorTrace extends TraceFile {
  title?: string
  steps: InspectorTraceStep[]
  /** The last token where it was chosen but not run. */
  next?: { token: number; text?: string; special?: boolean; origin?: Origin }
}

export const MAX_LAYERS = 1024
export const MAX_POSITIONS = 1_000_000
export const MAX_FILE_BYTES = 256 * 2 ** 20

type Fields = Readonly<Record<string, unknown>>

/** @throws `bad-file` where the text is no trace. */
export function parseTraceText(text: string): TokenStore {
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch (cause) {
    throw bad('The file is not JSON', { cause })
  }
  return readTrace(value)
}

/** @throws `bad-file` where the value is no trace. */
export function readTrace(value: unknown): TokenStore {
  if (!isFields(value)) throw bad('The file is no trace: it holds no object')
  const { layers, steps, title, next } = value
  if (!isInteger(layers, 1, MAX_LAYERS)) {
    throw bad(`The file is no trace: its “layers” is not a whole number from 1 to ${MAX_LAYERS}`)
  }
  if (!Array.isArray(steps)) throw bad('The file is no trace: it has no list of “steps”')
  if (steps.length > MAX_POSITIONS) {
    throw bad(`The trace has ${steps.length} positions, and at most ${MAX_POSITIONS} can be shown`)
  }
  if (title !== undefined && typeof title !== 'string') throw bad('The “title” of the trace is not a text')
  const store = new TokenStore(layers, title)
  for (let position = 0; position < steps.length; position++) addStep(store, steps[position], position)
  if (next !== undefined) {
    if (!isFields(next)) throw bad('The “next” token of the trace is not an object')
    addToken(store, next, steps.length, 'The “next” token')
  }
  return store
}

/** The same trace as a file. Numbers are those of the store: margins are rounded to 32 bits. */
export function writeTrace(store: TokenStore): InspectorTrace {
  const steps = Array.from({ length: store.ranLength }, (_, position) => writeStep(store, position))
  const trace: InspectorTrace = { ...(store.title && { title: store.title }), layers: store.layers, steps }
  if (store.length > store.ranLength) trace.next = tokenFields(store, store.ranLength)
  return trace
}

function writeStep(store: TokenStore, position: number): InspectorTraceStep {
  const step: InspectorTraceStep = {
    position,
    ...tokenFields(store, position),
    attention: store.pattern(position, 'attention'),
    mlp: store.pattern(position, 'mlp'),
  }
  if (!store.hasRun(position)) step.unknown = true
  if (store.token(position).hasMargins) {
    const row = (offset: 0 | 1) =>
      Array.from({ length: store.layers }, (_, layer) => store.margin(position, 2 * layer + offset) ?? 0)
    step.marginAttention = row(0)
    step.marginMlp = row(1)
  }
  return step
}

function tokenFields(store: TokenStore, position: number): NonNullable<InspectorTrace['next']> {
  const { id, text, special, origin } = store.token(position)
  return {
    token: id,
    ...(text !== undefined && { text }),
    ...(special && { special }),
    ...(origin && { origin }),
  }
}

function addStep(store: TokenStore, step: unknown, position: number): void {
  const name = `Step ${position} of the trace`
  if (!isFields(step)) throw bad(`${name} is not an object`)
  if (step.position !== position) {
    throw bad(`${name} has position ${show(step.position)}; positions have to count up from 0`)
  }
  addToken(store, step, position, name)
  const bits = new Uint32Array(store.words)
  readPattern(bits, step, 'attention', store.layers, name)
  readPattern(bits, step, 'mlp', store.layers, name)
  const margins = readMargins(step, store.layers, name)
  if (step.unknown !== true) store.decide(position, bits, margins)
}

function addToken(store: TokenStore, fields: Fields, position: number, name: string): void {
  const { token, origin } = fields
  if (!isInteger(token, 0, 2 ** 32 - 1)) throw bad(`${name} has no token id`)
  if (origin !== undefined && origin !== 'prompt' && origin !== 'generated') {
    throw bad(`${name} has an “origin” other than prompt and generated`)
  }
  store.place(position, token, origin, readPiece(fields, name))
}

function readPiece({ text, special }: Fields, name: string): Piece {
  if (text !== undefined && typeof text !== 'string') throw bad(`${name} has a “text” that is none`)
  if (special !== undefined && typeof special !== 'boolean')
    throw bad(`${name} has a “special” that is not true or false`)
  return { text, special: special ?? false }
}

function readPattern(bits: Uint32Array, step: Fields, kind: 'attention' | 'mlp', layers: number, name: string): void {
  const text = step[kind]
  if (typeof text !== 'string' || text.length !== layers || !/^[01]*$/.test(text)) {
    throw bad(`${name} has no “${kind}” of ${layers} characters 0 or 1, one for each layer`)
  }
  const offset = kind === 'attention' ? 0 : 1
  for (let layer = 0; layer < layers; layer++) {
    const sublayer = 2 * layer + offset
    if (text[layer] === '1') bits[sublayer >> 5] = (bits[sublayer >> 5] ?? 0) | (1 << (sublayer & 31))
  }
}

function readMargins(step: Fields, layers: number, name: string): Float32Array | undefined {
  const { marginAttention, marginMlp } = step
  if (marginAttention === undefined && marginMlp === undefined) return undefined
  const margins = new Float32Array(2 * layers)
  for (const [offset, row] of [marginAttention, marginMlp].entries()) {
    if (!Array.isArray(row) || row.length !== layers) {
      throw bad(`${name} has no “marginAttention” and “marginMlp” of ${layers} numbers each`)
    }
    for (let layer = 0; layer < layers; layer++) {
      const value: unknown = row[layer]
      if (typeof value !== 'number' || !Number.isFinite(Math.fround(value))) {
        throw bad(`${name} has a margin that is not a finite number`)
      }
      margins[2 * layer + offset] = value
    }
  }
  return margins
}

function isFields(value: unknown): value is Fields {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function isInteger(value: unknown, least: number, most: number): value is number {
  return typeof value === 'number' && Number.isInteger(value) && value >= least && value <= most
}

function show(value: unknown): string {
  return typeof value === 'number' ? String(value) : 'of another kind'
}

function bad(what: string, options?: { cause?: unknown }): SkipstoneError {
  return new SkipstoneError(
    'bad-file',
    `${what}. Open a file that this inspector exported as JSON, or that “skipstone generate --trace” wrote.`,
    options,
  )
}
