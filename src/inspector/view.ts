import type { Speed } from './speed.js'
import type { TokenStore } from './token-store.js'

/** What views show, and how they tell what the reader chose. */
export interface Subject {
  readonly store: TokenStore | undefined
  readonly speed: Speed
  readonly selected: number | undefined
  select(position: number): void
  /** Says something to screen readers. */
  say(text: string): void
}

/** One way of showing a text. */
export interface View {
  readonly root: HTMLElement
  /** Positions from `first` on changed, or are gone; 0 with another text. */
  invalidate(first: number): void
  /** Another text, or the same anew: `live` where tokens are going to arrive. */
  reset(live: boolean): void
  /** Brings the picture up to date. Called once a frame, and only while the view is visible. */
  render(): void
  /** Brings the selected token into view. Called after a render. */
  showSelected(): void
}
