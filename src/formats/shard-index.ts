import { SkipstoneError } from '../errors.js'
import { jsonObject, show } from './json.js'

/**
 * Which file holds which tensor, from a parsed `model.safetensors.index.json`: tensor name to file name.
 * `bad-file` where the map is missing or empty, or where a file name would leave the model's folder.
 */
export function parseShardIndex(json: unknown): Map<string, string> {
  const index = jsonObject(json, 'The shard index')
  const weightMap = jsonObject(index.weight_map, '"weight_map" of the shard index')
  const files = new Map<string, string>()
  for (const [tensor, file] of Object.entries(weightMap)) {
    if (typeof file !== 'string' || !/^[^/\\]+$/.test(file) || file.includes('..')) {
      throw new SkipstoneError(
        'bad-file',
        `The shard index places tensor "${tensor}" in ${show(file)}; only files beside the index are allowed.`,
      )
    }
    files.set(tensor, file)
  }
  if (files.size === 0) throw new SkipstoneError('bad-file', 'The shard index names no tensors; fetch it again.')
  return files
}
