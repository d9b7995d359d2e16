/**
 * WGSL for what of a training step is known only when it runs.
 *
 *   targetScale  factor of each row's cross-entropy: 1 / (targets · micro-batches)
 *   tau          temperature of the gates
 *   executeRate  share of gates that shall execute
 *   coefficient  of the penalty on the rate's distance from it, or on the gates' mean square
 *   share        1 / micro-batches
 */
export const stepSettings =
  'struct StepSettings { targetScale: f32, tau: f32, executeRate: f32, coefficient: f32, share: f32 }'

/** WGSL for what a step's forward pass came to, the losses without `share`; `dGate` is the penalty's gradient in each gate. */
export const stepLosses = 'struct StepLosses { crossEntropy: f32, rate: f32, loss: f32, dGate: f32 }'
