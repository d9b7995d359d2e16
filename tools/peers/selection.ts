import { parseArgs } from 'node:util'
import { SkipstoneError } from '../../src/errors.js'
import type { BrowserBackend } from '../../src/node/browser-page.js'
import { ENGINES, type EngineName, OURS, PEERS } from './engines.js'
import { PEER_SHAPES } from './models/shapes.js'

/** What a run compares. */
export interface Selection {
  readonly shapes: readonly string[]
  readonly browsers: readonly BrowserBackend[]
  /** Ours first. */
  readonly engines: readonly EngineName[]
  readonly rounds: number
  readonly json: boolean
}

const BROWSERS: readonly BrowserBackend[] = ['chromium', 'firefox']

export const USAGE = `npm run bench:peers -- [--shapes ${PEER_SHAPES.join(',')}] [--browsers ${BROWSERS.join(',')}]
                       [--peers ${Object.keys(PEERS).join(',')}] [--rounds 3] [--json]
--peers also takes one form of a peer: ${ENGINES.filter((name) => name !== OURS).join(', ')}.
`

/** @throws `bad-option` for anything that is not understood. */
export function parseSelection(argv: readonly string[]): Selection {
  const values = parse(argv)
  const rounds = Number(values.rounds)
  if (!Number.isInteger(rounds) || rounds < 1) {
    throw new SkipstoneError('bad-option', `--rounds takes a whole number from 1, not ${values.rounds}.`)
  }
  const peers = listed('peers', values.peers, [...Object.keys(PEERS), ...ENGINES])
  const forms = peers.flatMap((name): readonly string[] => (name in PEERS ? PEERS[name as keyof typeof PEERS] : [name]))
  return {
    shapes: listed('shapes', values.shapes, PEER_SHAPES),
    browsers: listed('browsers', values.browsers, BROWSERS),
    engines: ENGINES.filter((name) => name === OURS || forms.includes(name)),
    rounds,
    json: values.json,
  }
}

function parse(argv: readonly string[]) {
  try {
    return parseArgs({
      args: [...argv],
      options: {
        shapes: { type: 'string', default: 'syn-15m' },
        browsers: { type: 'string', default: BROWSERS.join(',') },
        peers: { type: 'string', default: Object.keys(PEERS).join(',') },
        rounds: { type: 'string', default: '3' },
        json: { type: 'boolean', default: false },
      },
    }).values
  } catch (cause) {
    throw new SkipstoneError('bad-option', `${cause instanceof Error ? cause.message : cause}\n${USAGE}`, { cause })
  }
}

function listed<T extends string>(option: string, value: string, known: readonly T[]): T[] {
  return value.split(',').map((name) => {
    const found = known.find((one) => one === name)
    if (found === undefined) {
      throw new SkipstoneError('bad-option', `--${option} takes ${known.join(', ')}, not "${name}".`)
    }
    return found
  })
}
