import { SkipstoneError } from '../../errors.js'
import type { EngineModel } from '../../sdk/model.js'
import { parsePolicy } from '../../skip/registry.js'
import { type StageSearch, searchStages } from '../../study/stage-search.js'
import { answerStages, type ConfidenceExit, checkStages, type StagePrompts } from '../../study/staged-task.js'
import { type CommandContext, type CommonOptions, loadEngine, progressOf } from './context.js'

/** A conversation whose last answer holds `answer`, whatever its case, where it is right. */
export interface StagedExample {
  /** A prompt for each stage; it follows on the answer of the stage before. */
  readonly stages: readonly string[]
  readonly answer: string
}

export interface StagesCommand extends CommonOptions {
  readonly examples: readonly StagedExample[]
  /** Sublayers that a stage may leave out at most. */
  readonly most: number
  /** Accuracy that may be lost. */
  readonly epsilon: number
  readonly maxTokens: number
  readonly exit?: ConfidenceExit
}

export interface StagesResult extends StageSearch {
  readonly adapter: string
  /** The policy of the first stage; others have another `stage`. */
  readonly policy: string
}

/** LiteStage's offline search: budgets for the stages of a task, by measured time and accuracy. */
export async function stagesCommand(context: CommandContext, options: StagesCommand): Promise<StagesResult> {
  const model = await loadEngine(context, options)
  try {
    const engine = await model.engine()
    const examples = await encode(model, options.examples)
    const stages = examples[0]?.prompts.length ?? 0
    for (const { prompts } of examples) checkStages(prompts, stages)
    const { maxTokens, exit, epsilon, most } = options
    const { signal } = context
    const contextLength = options.context ?? model.config.contextLength
    const stopIds = model.generation.eosTokenIds.length > 0 ? model.generation.eosTokenIds : model.config.eosTokenIds
    const answering = { contextLength, stopIds, maxTokens, exit, signal }
    const measure = async (budgets: readonly number[]) => {
      const policies = await Promise.all(
        budgets.map((_, i) => model.resolve(parsePolicy(policyOf(budgets, i + 1)), engine, signal)),
      )
      const stageMs = new Array<number>(stages).fill(0)
      let right = 0
      for (const { prompts, answer } of examples) {
        const answers = await answerStages(engine, prompts, policies, answering)
        for (const [i, { ms }] of answers.entries()) stageMs[i] = (stageMs[i] as number) + ms
        const last = await model.text.decode(answers.at(-1)?.tokens ?? [])
        if (last.toLowerCase().includes(answer)) right++
      }
      return { accuracy: right / examples.length, stageMs }
    }
    // The first run compiles and warms up.
    await measure(new Array<number>(stages).fill(0))
    const found = await searchStages({ stages, most, epsilon, measure, ...progressOf(context) })
    return { adapter: model.adapterName, policy: policyOf(found.best.budgets, 1), ...found }
  } finally {
    model.dispose()
  }
}

function policyOf(budgets: readonly number[], stage: number): string {
  return `litestage:budgets=${budgets.join('/')},stage=${stage}`
}

async function encode(model: EngineModel, examples: readonly StagedExample[]) {
  return Promise.all(
    examples.map(async ({ stages, answer }): Promise<{ prompts: StagePrompts; answer: string }> => {
      const encoding = stages.map((text, i) => model.text.encode(text, { addSpecialTokens: i === 0 }))
      return { prompts: await Promise.all(encoding), answer: answer.toLowerCase() }
    }),
  )
}

/** @throws `bad-file` for what is no list of examples. */
export function checkExamples(value: unknown): readonly StagedExample[] {
  const isExample = (one: StagedExample | null): boolean =>
    typeof one?.answer === 'string' &&
    Array.isArray(one.stages) &&
    one.stages.every((text) => typeof text === 'string' && text !== '')
  if (Array.isArray(value) && value.length > 0 && value.every(isExample)) return value as StagedExample[]
  throw new SkipstoneError(
    'bad-file',
    'A staged task is a JSON list of { "stages": ["first prompt", …], "answer": "…" }.',
  )
}
