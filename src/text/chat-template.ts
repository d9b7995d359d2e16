import type { Interpreter } from '@huggingface/jinja'
import { SkipstoneError } from '../errors.js'
import { restoreNumbers } from './exact-numbers.js'
import { additionalSpecialTokens, isRecord, namedSpecialTokens } from './special-tokens.js'
import { strftime } from './strftime.js'

/** One message of a conversation. Roles are what the model's template knows, mostly system, user and assistant. */
export interface ChatMessage {
  readonly role: string
  readonly content: string
  /** Of an assistant: calls of tools, in the shape that templates read, with arguments as objects, read from JSON by `keepNumbers`. */
  readonly tool_calls?: readonly object[]
  /** Of what a tool answered: which call, and the tool's name. */
  readonly tool_call_id?: string
  readonly name?: string
}

export interface RenderOptions {
  /** Default true: the text ends where the assistant's answer begins. */
  addGenerationPrompt?: boolean
  /** Descriptions of tools, for templates that know some. */
  tools?: readonly object[] | undefined
}

type Library = Pick<typeof import('@huggingface/jinja'), 'Environment' | 'Interpreter' | 'parse' | 'tokenize'>
type Program = Parameters<Interpreter['run']>[0]

/** Python's `range`, which Jinja offers to templates. */
function range(from: number, to?: number, step = 1): number[] {
  const [start, stop] = to === undefined ? [0, from] : [from, to]
  return Array.from({ length: Math.max(0, Math.ceil((stop - start) / step)) }, (_, i) => start + i * step)
}

function raise(message: unknown): never {
  throw new SkipstoneError(
    'bad-option',
    `The model's chat template refuses these messages: "${String(message)}". Change the roles or their order.`,
  )
}

/**
 * What the Hugging Face renderer has in scope beside the messages. The library's own Template is not used, because its
 * `raise_exception` cannot be told from a failure of the template and its `strftime_now` follows the browser's language.
 */
const GLOBALS: Record<string, unknown> = {
  true: true,
  false: false,
  none: null,
  True: true,
  False: false,
  None: null,
  range,
  raise_exception: raise,
  strftime_now: (format: string) => strftime(new Date(), format),
  documents: null,
}

/** A model's chat template, made by {@link findChatTemplate}. */
export class ChatTemplate {
  readonly #library: Library
  readonly #program: Program
  readonly #scope: Record<string, unknown>

  constructor(
    library: Library,
    private readonly source: string,
    specialTokens: Record<string, unknown>,
    /** Of models that write with another one where there are tools. */
    private readonly withTools?: ChatTemplate,
  ) {
    this.#library = library
    this.#scope = { ...GLOBALS, ...specialTokens }
    try {
      // Transformers renders with both flags set; templates count on it.
      this.#program = library.parse(library.tokenize(source, { lstrip_blocks: true, trim_blocks: true }))
    } catch (cause) {
      throw new SkipstoneError(
        'bad-file',
        `The model's chat template has a syntax error: ${messageOf(cause)}. Take it from the model's publisher again, or pass a prompt instead of messages.`,
        { cause },
      )
    }
  }

  /** Its text, or that of the model's template for requests with tools. */
  sourceFor({ tools = false }: { tools?: boolean } = {}): string {
    return tools && this.withTools ? this.withTools.source : this.source
  }

  /**
   * The conversation as one text. The text holds the special tokens, BOS included: encode it with `addSpecialTokens: false`.
   * @throws `bad-option` where there are no messages or the template raises an exception, with its sentence;
   *   `unsupported` where the template cannot be evaluated.
   */
  render(messages: readonly ChatMessage[], options: RenderOptions = {}): string {
    if (messages.length === 0)
      throw new SkipstoneError('bad-option', 'The list of messages is empty. Pass at least one message.')
    const { addGenerationPrompt = true, tools = null } = options
    if (tools && this.withTools) return this.withTools.render(messages, options)
    const environment = new this.#library.Environment()
    const scope = { ...this.#scope, messages, tools, add_generation_prompt: addGenerationPrompt }
    for (const [name, value] of Object.entries(scope)) environment.set(name, value)
    try {
      return restoreNumbers(String(new this.#library.Interpreter(environment).run(this.#program).value))
    } catch (cause) {
      if (cause instanceof SkipstoneError) throw cause
      throw new SkipstoneError(
        'unsupported',
        `The model's chat template cannot be evaluated for these messages: ${messageOf(cause)}. Pass a prompt instead of messages.`,
        { cause },
      )
    }
  }
}

function messageOf(cause: unknown): string {
  return cause instanceof Error ? cause.message : String(cause)
}

interface Sources {
  readonly plain: string | undefined
  readonly withTools?: string | undefined
}

/** The template's text in tokenizer_config.json: a string, or a list of `{ name, template }` with those named default and tool_use. */
function templatesInConfig(tokenizerConfig: unknown): Sources {
  const value = isRecord(tokenizerConfig) ? tokenizerConfig.chat_template : undefined
  if (value === undefined || value === null || typeof value === 'string') return { plain: value ?? undefined }
  const isEntry = (e: unknown) => isRecord(e) && typeof e.name === 'string' && typeof e.template === 'string'
  if (!Array.isArray(value) || !value.every(isEntry))
    throw new SkipstoneError(
      'bad-file',
      "tokenizer_config.json: chat_template is neither a text nor a list of named templates. Take the file from the model's publisher again.",
    )
  const named = (wanted: string) => value.find(({ name }: { name: string }) => name === wanted)?.template
  return { plain: named('default'), withTools: named('tool_use') }
}

/**
 * The chat template of a model: the text of `chat_template.jinja` where there is one, else what tokenizer_config.json
 * holds; of several, the one for tools is used where there are tools. Undefined where the model has none, or only
 * templates for special uses. The Jinja library is loaded on the first call that finds a template.
 * @throws `bad-file` where the template is malformed.
 */
export async function findChatTemplate(
  tokenizerConfig: unknown,
  chatTemplateJinja: string | undefined,
): Promise<ChatTemplate | undefined> {
  const { plain, withTools }: Sources =
    chatTemplateJinja === undefined ? templatesInConfig(tokenizerConfig) : { plain: chatTemplateJinja }
  if (plain === undefined) return undefined
  // By name, so that bundlers leave the rest out.
  const { Environment, Interpreter, parse, tokenize } = await import('@huggingface/jinja')
  const library = { Environment, Interpreter, parse, tokenize }
  const specialTokens = {
    ...Object.fromEntries(namedSpecialTokens(tokenizerConfig)),
    additional_special_tokens: additionalSpecialTokens(tokenizerConfig),
  }
  const second = withTools === undefined ? undefined : new ChatTemplate(library, withTools, specialTokens)
  return new ChatTemplate(library, plain, specialTokens, second)
}
