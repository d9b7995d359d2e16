import type { Obey } from '../../shaders/snippets/obey.js'
import type { DecodeAttention } from './attending.js'
import { attentionInParts } from './attention-in-parts.js'
import type { Target } from './target.js'

/** Attention of a decode step in the form of the device. */
export async function decodeAttention(target: Target, obey: Obey): Promise<DecodeAttention> {
  const { decode } = target.choice.form.value.attention
  return decode === 'in turn'
    ? (await import('./attention-in-turn.js')).attentionInTurn(target, obey)
    : attentionInParts(target, decode, obey)
}
