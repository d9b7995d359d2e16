import { DLLM_TENSORS } from './dllm.js'
import { DLO_TENSORS } from './dlo.js'
import { FLEXIDEPTH_TENSORS } from './flexidepth.js'
import { GATESKIP_TENSORS } from './gateskip.js'
import { MINDSKIP_TENSORS } from './mindskip.js'

const NAMES = [
  /\.router_(attention|mlp)\./,
  GATESKIP_TENSORS,
  DLO_TENSORS,
  MINDSKIP_TENSORS,
  FLEXIDEPTH_TENSORS,
  DLLM_TENSORS,
]

/** Whether a tensor of this normalised name belongs to what decides: SkipGPT's routers, or those and the gates of other policies. */
export function decides(name: string): boolean {
  return NAMES.some((names) => names.test(name))
}
