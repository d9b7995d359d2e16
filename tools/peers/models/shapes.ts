import { existsSync } from 'node:fs'
import { SkipstoneError } from '../../../src/errors.js'
import { openCheckpoint } from '../../../src/model/checkpoint.js'
import { parseModelConfig } from '../../../src/model/config.js'
import { DirectorySource } from '../../../src/node/fs-source.js'
import { readJson } from '../../../src/storage/source.js'
import { SHAPE_NAMES, syntheticCheckpoint, syntheticConfig } from '../../../src/study/synthetic.js'
import type { PeerModel } from './weights.js'

/** A trained model of 656 thousand parameters, where a checkout of it lies beside this one. */
const TRAINED = 'tinystories-656k'
const trainedFolder = new URL(`../../../../shared/models/${TRAINED}`, import.meta.url).pathname

export const PEER_SHAPES = [...SHAPE_NAMES, TRAINED]

/** @throws `not-found` where the trained model is not on this machine, `bad-option` for an unknown name. */
export async function peerModel(name: string): Promise<PeerModel> {
  if (name !== TRAINED) {
    const config = syntheticConfig(name)
    return { config, checkpoint: syntheticCheckpoint(config) }
  }
  if (!existsSync(trainedFolder)) {
    throw new SkipstoneError('not-found', `${TRAINED} is not at ${trainedFolder}: choose another of --shapes.`)
  }
  const source = new DirectorySource(trainedFolder)
  const config = parseModelConfig(await readJson(source, 'config.json'))
  return { config, checkpoint: await openCheckpoint(source) }
}
