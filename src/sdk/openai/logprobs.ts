import type { TokenLogprob, TokenLogprobs } from '../options.js'
import { bad } from './bad-request.js'
import type { ChatLogprob, ChatLogprobEntry, ChatRequest, TextRequest } from './types.js'

/** How many of the most probable tokens a chat asks for; undefined where it asks for no probabilities. The session checks the number. */
export function wantedLogprobs(request: ChatRequest): number | undefined {
  const { logprobs = null, top_logprobs: top = null } = request
  if (logprobs !== null && typeof logprobs !== 'boolean') throw bad('logprobs is true or false')
  if (top !== null && typeof top !== 'number') throw bad('top_logprobs is a number')
  if (logprobs) return top ?? 0
  if (top) throw bad('top_logprobs needs logprobs: true')
  return undefined
}

/** The same of a text completion, which says the number alone. */
export function wantedTextLogprobs({ logprobs }: TextRequest): number | undefined {
  if (logprobs === undefined || logprobs === null) return undefined
  if (typeof logprobs !== 'number') throw bad('logprobs is a number')
  return logprobs
}

export function chatLogprob(token: TokenLogprobs): ChatLogprobEntry {
  return { ...entry(token), top_logprobs: token.top.map(entry) }
}

function entry({ text, logprob, bytes }: TokenLogprob): ChatLogprob {
  return { token: text, logprob, bytes: bytes ? Array.from(bytes) : null }
}
