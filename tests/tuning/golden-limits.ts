/** Of the golden README: below 1e-4 for losses, which are up to 8, and of gradients relative to the largest. */
export const LOSS = 1e-5
export const GRADIENT = 1e-4
