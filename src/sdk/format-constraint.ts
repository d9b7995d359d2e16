import { SkipstoneError } from '../errors.js'
import {
  createConstraint,
  fromJsonSchema,
  type Grammar,
  jsonGrammar,
  parseGbnf,
  regexGrammar,
  type TokenConstraint,
  tokenizerVocabulary,
  type Vocabulary,
} from '../grammar/index.js'
import type { TextTokenizer } from '../text/tokenizer.js'
import type { TextFormat } from './options.js'

/** Grammars that are kept: the same format again finds what was learnt about it. */
const MAX_GRAMMARS = 16
/** The one that was not used for longest first. */
const grammars = new Map<string, Grammar>()
const vocabularies = new WeakMap<TextTokenizer, Vocabulary>()

/** What a constraint needs to know of a model. */
export interface Writer {
  readonly tokenizer: TextTokenizer
  readonly stopIds: readonly number[]
  /** How many logits the model gives. */
  readonly vocabSize: number
}

/**
 * A constraint for one text.
 * @throws `bad-option` for a malformed format, and for a model without stop tokens; `unsupported` for what cannot be followed.
 */
export function formatConstraint(format: TextFormat, writer: Writer): TokenConstraint {
  const key = keyOf(format)
  const grammar = grammars.get(key) ?? parse(format)
  grammars.delete(key)
  grammars.set(key, grammar)
  if (grammars.size > MAX_GRAMMARS) grammars.delete(grammars.keys().next().value ?? '')
  return createConstraint(grammar, vocabularyOf(writer))
}

function vocabularyOf({ tokenizer, stopIds, vocabSize }: Writer): Vocabulary {
  const known = vocabularies.get(tokenizer)
  if (known) return known
  const vocabulary = tokenizerVocabulary(tokenizer, stopIds, vocabSize)
  vocabularies.set(tokenizer, vocabulary)
  return vocabulary
}

function parse(format: TextFormat): Grammar {
  if ('json' in format) return jsonGrammar()
  if ('schema' in format) return fromJsonSchema(format.schema)
  if ('regex' in format) return regexGrammar(format.regex)
  return parseGbnf(format.gbnf)
}

const IS_FORMAT: Readonly<Record<string, (value: unknown) => boolean>> = {
  json: (value) => value === true,
  schema: (value) => typeof value === 'object' && value !== null,
  regex: (value) => typeof value === 'string',
  gbnf: (value) => typeof value === 'string',
}

/** Equal formats have equal keys. @throws `bad-option` for what is no format. */
function keyOf(format: TextFormat): string {
  const entries = typeof format === 'object' && format !== null ? Object.entries(format) : []
  const [name = '', value] = entries[0] ?? []
  if (entries.length === 1 && Object.hasOwn(IS_FORMAT, name) && IS_FORMAT[name]?.(value)) {
    try {
      return JSON.stringify(format)
    } catch {
      // A cycle, or a BigInt: no JSON.
    }
  }
  throw new SkipstoneError(
    'bad-option',
    'format must be one of { json: true }, { schema: a JSON Schema }, { regex: text } and { gbnf: text }.',
  )
}
