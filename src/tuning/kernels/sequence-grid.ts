import { SEQUENCE_GROUP } from '../../../shaders/snippets/sequences.js'
import type { Extent, Grid } from '../../gpu/dispatch.js'

/** Groups of an attention kernel over sequences: an invocation for each row, and so many heads. */
export function sequenceGrid(heads: number): (extent: Extent) => Grid {
  return ({ rows }) => [Math.ceil(rows / SEQUENCE_GROUP), heads, 1]
}
