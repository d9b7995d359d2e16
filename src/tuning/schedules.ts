/** The temperature of gates at micro-step n, counted from 0: from 5 down to 1 by the same amount each optimiser step (SkipGPT). */
export function temperature(microStep: number, accumulation: number, steps: number): number {
  return 5 - (4 * Math.floor(microStep / accumulation)) / steps
}

/** The share that is kept at optimiser step n, counted from 0: from all at the first down to 1 − target at the last, by the same amount (GateSkip). */
export function keptShare(step: number, steps: number, target: number): number {
  return 1 - (target * step) / Math.max(1, steps - 1)
}

/** The share of a learning rate at optimiser step n, counted from 0: up over a tenth of the steps, then down along a cosine. */
export function warmCosine(step: number, steps: number): number {
  const warm = Math.max(1, Math.floor(steps / 10))
  if (step < warm) return (step + 1) / warm
  return 0.5 + 0.5 * Math.cos((Math.PI * (step - warm)) / Math.max(1, steps - warm))
}
