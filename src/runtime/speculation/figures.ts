/** What drafting and verifying came to. Times are wall clock, from submit to result. */
export interface SpeculationFigures {
  /** Verification passes. */
  rounds: number
  /** Tokens that were drafted, and those of them that were accepted. */
  proposed: number
  accepted: number
  /** Tokens that came of verification: the accepted ones, and one more for each pass. */
  verified: number
  /** Tokens that were decoded densely without a draft, where that was cheaper or nothing was measured yet. */
  undrafted: number
  draftMs: number
  verifyMs: number
  undraftedMs: number
}

export function noFigures(): SpeculationFigures {
  return { rounds: 0, proposed: 0, accepted: 0, verified: 0, undrafted: 0, draftMs: 0, verifyMs: 0, undraftedMs: 0 }
}
