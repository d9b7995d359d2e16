import { benchCommand } from './bench.js'
import type { BenchCommand } from './bench-request.js'
import { type CalibrateCommand, calibrateCommand } from './calibrate.js'
import { type CompareCommand, compareCommand } from './compare.js'
import type { CommandContext } from './context.js'
import { convertCommand } from './convert.js'
import { type EvaluateCommand, evaluateCommand } from './evaluate.js'
import { type GenerateCommand, generateCommand } from './generate.js'
import { inspectCommand } from './inspect.js'
import { type StagesCommand, stagesCommand } from './stages.js'
import { type TuneCommand, tuneCommand } from './tune.js'

/** A command and its options as plain data, so that it runs the same in Node and in a browser page. */
export type Request =
  | ({ readonly command: 'generate' } & GenerateCommand)
  | ({ readonly command: 'eval' } & EvaluateCommand)
  | ({ readonly command: 'compare' } & CompareCommand)
  | ({ readonly command: 'bench' } & BenchCommand)
  | ({ readonly command: 'calibrate' } & CalibrateCommand)
  | ({ readonly command: 'tune' } & TuneCommand)
  | ({ readonly command: 'stages' } & StagesCommand)
  | { readonly command: 'inspect'; readonly model: string }
  | { readonly command: 'convert'; readonly out: string }

/** Runs a command; what comes back is plain data too. */
export function runCommand(context: CommandContext, request: Request): Promise<unknown> {
  switch (request.command) {
    case 'generate':
      return generateCommand(context, request)
    case 'eval':
      return evaluateCommand(context, request)
    case 'compare':
      return compareCommand(context, request)
    case 'calibrate':
      return calibrateCommand(context, request)
    case 'tune':
      return tuneCommand(context, request)
    case 'stages':
      return stagesCommand(context, request)
    case 'bench':
      return benchCommand(context, request)
    case 'inspect':
      return inspectCommand(context, request)
    case 'convert':
      return convertCommand(context, request)
  }
}
