import { readFileSync } from 'node:fs'
import { parseArgs } from 'node:util'
import { SkipstoneError } from '../errors.js'
import type { DtypeOption } from '../model/matrix-dtypes.js'
import type { GenerateOptions } from '../sdk/options.js'
import type { SkipProfile } from '../skip/profile.js'
import { parsePolicy } from '../skip/registry.js'
import { SMALL_SHAPES } from '../study/synthetic.js'
import type { AdapterName } from './adapters.js'
import type { CommonOptions } from './commands/context.js'
import type { Request } from './commands/index.js'
import { checkExamples } from './commands/stages.js'
import { DEFAULT_MODEL } from './locations.js'
import { resolveUserPath } from './user-path.js'

/** A parsed command line. */
export interface Invocation {
  readonly request: Request
  readonly model: string
  readonly routers: string | undefined
  readonly lora: string | undefined
  readonly backend: 'dawn' | 'chromium' | 'firefox'
  readonly adapter: AdapterName
  readonly json: boolean
  /** Files to write, resolved. */
  readonly logitsFile: string | undefined
  readonly traceFile: string | undefined
}

const COMMON = [
  'model',
  'policy',
  'routers',
  'lora',
  'profile-file',
  'dtype',
  'activations',
  'context',
  'gpu-budget',
  'backend',
  'adapter',
]
const SAMPLING = ['max-tokens', 'temperature', 'top-k', 'top-p', 'min-p', 'repetition-penalty', 'seed', 'stop']

const TUNING_NUMBERS = ['steps', 'batch', 'accumulation', 'coefficient', 'rank', 'alpha', 'sampled', 'seed']
const TUNING = [...TUNING_NUMBERS, 'stage', 'target', 'recipe', 'learning-rate', 'decisions', 'existing']

interface CommandSpec {
  readonly strings: readonly string[]
  readonly flags: readonly string[]
}

const COMMANDS: Readonly<Record<string, CommandSpec>> = {
  generate: { strings: [...COMMON, ...SAMPLING, 'prompt', 'ids', 'logits', 'trace'], flags: ['ignore-eos'] },
  eval: { strings: [...COMMON, 'text', 'windows', 'ids-file'], flags: [] },
  compare: {
    strings: [...COMMON, ...SAMPLING, 'policies', 'prompt', 'text', 'windows', 'ids-file', 'shares', 'seeds', 'rounds'],
    flags: ['sweep', 'ignore-eos'],
  },
  bench: { strings: [...COMMON, 'shape', 'skip', 'tokens', 'repeats', 'phase', 'batch'], flags: ['profile'] },
  inspect: { strings: COMMON, flags: [] },
  calibrate: { strings: [...COMMON, 'text', 'windows', 'out'], flags: [] },
  tune: { strings: [...COMMON, ...TUNING, 'text', 'out'], flags: [] },
  stages: { strings: [...COMMON, 'task', 'most', 'epsilon', 'max-tokens', 'exit'], flags: [] },
  convert: { strings: ['routers', 'lora', 'out'], flags: [] },
}
const PHASES = ['prefill', 'decode'] as const

export const USAGE = `skipstone generate   (--prompt TEXT | --ids 1,2,3) [--max-tokens 64] [--ignore-eos] [--stop TEXT] [--temperature 0]
                     [--top-k K] [--top-p P] [--min-p P] [--repetition-penalty R] [--seed 0] [--logits FILE] [--trace FILE]
skipstone eval       (--text FILE [--windows N] | --ids-file FILE) [--context N]
skipstone compare    --policies a,b,c --prompt TEXT
skipstone compare    --sweep [--policies a,b,c] (--prompt TEXT | --text FILE [--windows N] | --ids-file FILE) [--shares 0.1,0.25,0.4] [--seeds 3] [--rounds 3]
skipstone calibrate  [--text FILE [--windows N]] --out FILE
skipstone stages     --task FILE [--most 8] [--epsilon 0.01] [--max-tokens 64] [--exit TOKENS/PROBABILITY]
skipstone tune       --stage routers|lora|gateskip --target R --text FILE|self --out DIR [--steps N] [--batch B] [--context T]
                     [--recipe scaled|published] [--learning-rate 0.005] [--accumulation 1] [--sampled WINDOWS] [--existing replace|continue]
                     [--coefficient 8] [--rank 16] [--alpha 32] [--decisions arg-max|sampled] [--seed 1]
skipstone bench      [--shape NAME] [--skip 0,0.25,0.5,0.75] [--tokens 64,256,512] [--repeats 3] [--phase prefill|decode] [--profile | --batch 1,2,4,8]
skipstone bench      [--model …] --policy NAME [--routers …] [--tokens 64,256,512] [--repeats 3] [--phase prefill|decode]
skipstone inspect
skipstone convert    (--routers FILE | --lora DIR) --out FILE
all of them: [--model DIR|FILE|URL|NAME] [--policy NAME[:key=value,...]] [--routers DIR|FILE] [--lora DIR] [--dtype stored|f32|f16|q8|q4]
             [--activations f32|q8] [--profile-file FILE] [--context N] [--gpu-budget MB] [--backend dawn|chromium|firefox]
             [--adapter auto|swiftshader|lavapipe] [--json]
`

type Values = Readonly<Record<string, string | boolean | readonly string[] | undefined>>

/** @throws `bad-option` for anything that is not understood, `not-found` and `bad-file` for files that it names. */
export function parseArguments(argv: readonly string[]): Invocation {
  const [command = '', ...rest] = argv
  const spec = Object.hasOwn(COMMANDS, command) ? COMMANDS[command] : undefined
  if (!spec) {
    throw new SkipstoneError('bad-option', `There is no command "${command}"; use ${Object.keys(COMMANDS).join(', ')}.`)
  }
  const values = parse(command, spec, rest)
  const text = (name: string) => values[name] as string | undefined
  const file = (name: string) => {
    const value = text(name)
    return value === undefined ? undefined : resolveUserPath(value)
  }
  const common: CommonOptions = {
    model: text('model') ?? DEFAULT_MODEL,
    policy: text('policy') ?? 'dense',
    dtype: dtype(text('dtype') ?? 'stored'),
    activations: oneOf('activations', text('activations') ?? 'f32', ['f32', 'q8']),
    backend: oneOf('backend', text('backend') ?? 'dawn', ['dawn', 'chromium', 'firefox']),
    adapter: oneOf('adapter', text('adapter') ?? 'auto', ['auto', 'swiftshader', 'lavapipe']),
    ...(values.context !== undefined && { context: whole('context', values, 0) }),
    ...(values['profile-file'] !== undefined && {
      profile: readUserJson(text('profile-file') as string) as SkipProfile,
    }),
    ...(values['gpu-budget'] !== undefined && { gpuBudget: 1e6 * number('gpu-budget', values, 0) }),
  }
  parsePolicy(common.policy)
  return {
    request: request(command, common, values),
    model: common.model,
    routers: text('routers'),
    lora: text('lora'),
    backend: common.backend as Invocation['backend'],
    adapter: common.adapter as AdapterName,
    json: values.json === true,
    logitsFile: file('logits'),
    traceFile: file('trace'),
  }
}

function parse(command: string, spec: CommandSpec, argv: readonly string[]): Values {
  const options: Record<string, { type: 'string' | 'boolean'; multiple?: boolean }> = { json: { type: 'boolean' } }
  for (const name of spec.strings) options[name] = { type: 'string', multiple: name === 'stop' }
  for (const name of spec.flags) options[name] = { type: 'boolean' }
  try {
    return parseArgs({ args: joinNegative(argv), options, strict: true, allowPositionals: false }).values as Values
  } catch (cause) {
    throw new SkipstoneError(
      'bad-option',
      `skipstone ${command}: ${(cause as Error).message.split('\n')[0]}. "skipstone help" lists the options.`,
      {
        cause,
      },
    )
  }
}

/** `--temperature -1` means a value: without this, a leading dash reads as another option. */
function joinNegative(argv: readonly string[]): string[] {
  const joined: string[] = []
  for (const word of argv) {
    const before = joined.at(-1)
    if (/^-\.?\d/.test(word) && before?.startsWith('--') && !before.includes('='))
      joined[joined.length - 1] += `=${word}`
    else joined.push(word)
  }
  return joined
}

function request(command: string, common: CommonOptions, values: Values): Request {
  const text = (name: string) => values[name] as string | undefined
  switch (command) {
    case 'generate': {
      if ((values.prompt === undefined) === (values.ids === undefined)) {
        throw new SkipstoneError('bad-option', 'Give either --prompt TEXT or --ids 1,2,3.')
      }
      const prompt = text('prompt')
      const ids = text('ids')
      return {
        command,
        ...common,
        ...(prompt !== undefined && { prompt }),
        ...(ids !== undefined && { ids: list('ids', ids) }),
        generation: { ...generation(values), logits: values.logits !== undefined },
        wantTrace: values.trace !== undefined,
      }
    }
    case 'eval': {
      const file = text('text')
      const idsFile = text('ids-file')
      if ((file === undefined) === (idsFile === undefined)) {
        throw new SkipstoneError('bad-option', 'Give either --text FILE or --ids-file FILE.')
      }
      return file !== undefined
        ? { command, ...common, ...cut(values), text: readUserFile(file) }
        : { command, ...common, windows: readWindows(idsFile as string) }
    }
    case 'compare':
      return compareRequest(common, values)
    case 'bench':
      return {
        command,
        dtype: common.dtype,
        activations: common.activations,
        ...(common.gpuBudget !== undefined && { gpuBudget: common.gpuBudget }),
        shapes: text('shape')?.split(',') ?? SMALL_SHAPES,
        skips: list('skip', text('skip') ?? '0,0.25,0.5,0.75'),
        tokens: list('tokens', text('tokens') ?? '64,256,512'),
        repeats: whole('repeats', values, 3),
        batch: text('batch') === undefined ? [] : list('batch', text('batch') as string),
        profile: values.profile === true,
        phases: values.phase === undefined ? PHASES : [oneOf('phase', text('phase') as string, PHASES)],
        ...(OWN.some((name) => values[name] !== undefined) && { own: ownBench(common, values) }),
      }
    case 'calibrate': {
      const file = text('text')
      return {
        command,
        ...common,
        ...cut(values),
        out: outFile(values),
        ...(file !== undefined && { text: readUserFile(file) }),
      }
    }
    case 'tune':
      return tuneRequest(common, values)
    case 'stages':
      return stagesRequest(common, values)
    case 'convert':
      return { command, out: outFile(values) }
    default:
      return { command: 'inspect', model: common.model }
  }
}

/** What says that bench is to time a model, not shapes. */
const OWN = ['model', 'policy', 'routers', 'lora'] as const

/** What is for shapes makes no sense there. */
function ownBench(common: CommonOptions, values: Values): CommonOptions {
  const wrong = ['shape', 'skip', 'batch', 'profile'].find((name) => values[name] !== undefined)
  if (wrong === undefined) return common
  throw new SkipstoneError(
    'bad-option',
    `bench times shapes, with --${wrong}, or a --model under a --policy, not both.`,
  )
}

function tuneRequest(common: CommonOptions, values: Values): Request {
  const text = (name: string) => values[name] as string | undefined
  const stage = oneOf('stage', text('stage') ?? 'routers', ['routers', 'lora', 'gateskip'])
  const file = text('text')
  if (file === undefined) {
    throw new SkipstoneError('bad-option', 'Give --text FILE, or --text self for what the model writes itself.')
  }
  const given = (name: string) => values[name] !== undefined
  const tuning = {
    stage,
    ...(given('target') && { target: number('target', values, 0) }),
    ...(given('learning-rate') && { learningRate: number('learning-rate', values, 0) }),
    ...(common.context !== undefined && { context: common.context }),
    ...(given('recipe') && { recipe: oneOf('recipe', text('recipe') ?? '', ['scaled', 'published']) }),
    ...(given('decisions') && { decisions: oneOf('decisions', text('decisions') ?? '', ['arg-max', 'sampled']) }),
    ...(given('existing') && { existing: oneOf('existing', text('existing') ?? '', ['replace', 'continue']) }),
    ...Object.fromEntries(TUNING_NUMBERS.filter(given).map((name) => [name, number(name, values, 0)])),
  }
  const out = outFile(values)
  return { command: 'tune', ...common, tuning, out, ...(file !== 'self' && { text: readUserFile(file) }) }
}

function compareRequest(common: CommonOptions, values: Values): Request {
  const text = (name: string) => values[name] as string | undefined
  const [policies, prompt, file, idsFile] = ['policies', 'prompt', 'text', 'ids-file'].map(text)
  const sweeps = values.sweep === true
  const sources = [prompt, file, idsFile].filter((source) => source !== undefined)
  if (sweeps ? sources.length !== 1 : !policies || prompt === undefined || sources.length > 1) {
    throw new SkipstoneError(
      'bad-option',
      'Give --policies a,b,c and --prompt TEXT; or --sweep and one of --prompt TEXT, --text FILE and --ids-file FILE.',
    )
  }
  return {
    command: 'compare',
    ...common,
    ...(policies && { policies: splitPolicies(policies) }),
    ...(prompt !== undefined && { prompt }),
    ...cut(values),
    ...(file !== undefined && { text: readUserFile(file) }),
    ...(idsFile !== undefined && { windows: readWindows(idsFile) }),
    ...(sweeps && {
      sweep: {
        ...(values.shares !== undefined && { shares: list('shares', text('shares') as string) }),
        seeds: whole('seeds', values, 3),
        rounds: whole('rounds', values, 3),
      },
    }),
    generation: generation(values),
  }
}

function stagesRequest(common: CommonOptions, values: Values): Request {
  const file = values.task as string | undefined
  if (file === undefined)
    throw new SkipstoneError('bad-option', 'Give --task FILE, a JSON list of { "stages": […], "answer": "…" }.')
  const exit = values.exit as string | undefined
  const [window, threshold] = (exit ?? '1/0').split('/').map(Number)
  if (!(Number.isInteger(window) && (window as number) >= 1 && Number.isFinite(threshold))) {
    throw new SkipstoneError(
      'bad-option',
      `--exit is a number of tokens and a probability, such as 8/0.4, not "${exit}".`,
    )
  }
  return {
    command: 'stages',
    ...common,
    examples: checkExamples(readUserJson(file)),
    most: whole('most', values, 8),
    epsilon: number('epsilon', values, 0.01),
    maxTokens: whole('max-tokens', values, 64),
    ...(exit !== undefined && { exit: { window: window as number, threshold: threshold as number } }),
  }
}

function cut(values: Values): { windowCount?: number } {
  return values.windows === undefined ? {} : { windowCount: whole('windows', values, 0) }
}

function outFile(values: Values): string {
  if (values.out) return values.out as string
  throw new SkipstoneError('bad-option', 'Give --out, the file or folder to write.')
}

/** Policies are separated by commas, and so are the options of one: a part with "=" and no name belongs to the one before. */
function splitPolicies(text: string): string[] {
  const policies: string[] = []
  for (const part of text.split(',')) {
    if (part.includes('=') && !part.includes(':') && policies.length > 0) policies[policies.length - 1] += `,${part}`
    else policies.push(part)
  }
  for (const policy of policies) parsePolicy(policy)
  return policies
}

function generation(values: Values): Omit<GenerateOptions, 'signal'> {
  return {
    maxTokens: whole('max-tokens', values, 64),
    temperature: number('temperature', values, 0),
    topK: whole('top-k', values, 0),
    topP: number('top-p', values, 1),
    minP: number('min-p', values, 0),
    repetitionPenalty: number('repetition-penalty', values, 1),
    seed: whole('seed', values, 0),
    ignoreEos: values['ignore-eos'] === true,
    ...(values.stop !== undefined && { stop: values.stop as readonly string[] }),
  }
}

function number(name: string, values: Values, fallback: number): number {
  const text = values[name] as string | undefined
  if (text === undefined) return fallback
  const value = Number(text)
  if (text.trim() === '' || !Number.isFinite(value)) {
    throw new SkipstoneError('bad-option', `--${name} is a number, not "${text}".`)
  }
  return value
}

function whole(name: string, values: Values, fallback: number): number {
  const value = number(name, values, fallback)
  if (!Number.isInteger(value)) throw new SkipstoneError('bad-option', `--${name} is a whole number, not ${value}.`)
  return value
}

function list(name: string, text: string): number[] {
  return text
    .split(',')
    .filter((part) => part.trim() !== '')
    .map((part) => number(name, { [name]: part }, 0))
}

function dtype(text: string): DtypeOption {
  return oneOf('dtype', text, ['stored', 'f32', 'f16', 'q8', 'q4'])
}

function oneOf<T extends string>(name: string, value: string, allowed: readonly T[]): T {
  const found = allowed.find((a) => a === value)
  if (!found) throw new SkipstoneError('bad-option', `--${name} is one of ${allowed.join(', ')}, not "${value}".`)
  return found
}

function readUserFile(file: string): string {
  try {
    return readFileSync(resolveUserPath(file), 'utf8')
  } catch (cause) {
    throw new SkipstoneError('not-found', `The file "${file}" cannot be read.`, { cause })
  }
}

function readUserJson(file: string): unknown {
  try {
    return JSON.parse(readUserFile(file))
  } catch (cause) {
    if (cause instanceof SkipstoneError) throw cause
    throw new SkipstoneError('bad-file', `"${file}" is not JSON.`, { cause })
  }
}

function readWindows(file: string): number[][] {
  const value = readUserJson(file)
  const isIds = (w: unknown): w is number[] => Array.isArray(w) && w.every((id) => Number.isInteger(id))
  if (!Array.isArray(value) || !value.every(isIds)) {
    throw new SkipstoneError('bad-file', `"${file}" is not a JSON list of windows, each a list of token ids.`)
  }
  return value
}
