import type { Model, TuneRun } from '../../src/index.js'
import { byId } from '../dom.js'
import { count, percent } from '../format.js'
import { say } from '../messages.js'
import { Curves } from './curves.js'
import { Pace } from './pace.js'
import { hideProgress, showProgress } from './progress.js'
import { RatesView } from './rates-view.js'
import type { TuneRequest } from './request.js'

/** Milliseconds between drawings, and between readings of the rates, which wait for the GPU. */
const DRAW_EVERY = 300
const READ_EVERY = 1500
/** Parts of a run behind which a screen reader is told. */
const PARTS = 10

/** What the run was asked, and with which routers of this page. */
export interface Begun {
  readonly request: TuneRequest
  readonly before: Uint8Array<ArrayBuffer> | undefined
}

/** A run on the page, while it goes and when it has ended. */
export class Training {
  readonly #curves: Curves
  readonly #rates = new RatesView(byId('rates', HTMLElement))
  readonly #pace = new Pace()
  #drawn = Number.NEGATIVE_INFINITY
  #read = Number.NEGATIVE_INFINITY
  #told = 0
  /** Steps when the tab was hidden. */
  #hiddenAt: number | undefined
  live = true
  paused = false

  constructor(
    readonly run: TuneRun,
    readonly model: Model,
    readonly begun: Begun,
  ) {
    const { stage, target } = begun.request
    this.#curves = new Curves(byId('curves', HTMLElement), run.total, stage, target)
    byId('rates', HTMLElement).hidden = true
    this.#told = this.#part
    this.#draw()
  }

  get done(): number {
    return this.run.steps.length
  }

  /** “12 of 40 steps”. */
  get reached(): string {
    return `${this.done} of ${count(this.run.total, 'step')}`
  }

  /** Fulfilled when the run ended well; fails as the run does. */
  async end(): Promise<void> {
    try {
      await this.run.done
    } finally {
      this.live = false
      this.#draw()
      hideProgress()
    }
  }

  /** A step is done. */
  step(): void {
    this.#pace.add()
    this.#showProgress()
    const now = performance.now()
    // A hidden tab has nobody to draw for.
    if (now - this.#drawn > DRAW_EVERY && !document.hidden) this.#draw()
    if (now - this.#read > READ_EVERY && !document.hidden) void this.#readRates()
    if (this.#part === this.#told || this.done === this.run.total) return
    this.#told = this.#part
    say(`Training: ${this.reached}, ${this.#figures()}.`)
  }

  async pause(): Promise<void> {
    this.paused = true
    // Rates first: they are those of the step that was last.
    await Promise.all([this.#readRates(), this.run.pause()])
    this.#pace.rest()
    this.#draw()
    this.#showProgress()
    if (this.paused) say(`Paused after ${this.reached}; what there is can be tried, measured and downloaded.`)
  }

  resume(): void {
    this.paused = false
    this.run.resume()
    say('Training goes on.')
  }

  /** The tab was hidden, or is seen again. */
  visibility(hidden: boolean): void {
    if (!this.live) return
    if (hidden) {
      this.#hiddenAt = this.done
      return
    }
    const since = this.done - (this.#hiddenAt ?? this.done)
    this.#draw()
    if (this.paused) return
    say(
      since > 0
        ? `While this tab was hidden the run went on: ${count(since, 'step')}.`
        : 'While this tab was hidden the browser let the run rest; it goes on now.',
    )
  }

  get #part(): number {
    return Math.floor((PARTS * this.done) / this.run.total)
  }

  #showProgress(): void {
    showProgress(`Step ${this.reached}: ${this.#figures()}`, this.done, this.run.total)
  }

  #figures(): string {
    const last = this.run.steps.at(-1)
    const left = this.#pace.left(this.run.total - this.done)
    const parts = last ? [`loss ${last.loss.toFixed(3)}`, `skips ${percent(1 - last.executeRate)}`] : []
    return [...parts, ...(left === '' ? [] : [left])].join(', ')
  }

  #draw(): void {
    this.#drawn = performance.now()
    this.#curves.draw(this.run.steps)
  }

  async #readRates(): Promise<void> {
    this.#read = performance.now()
    // A device that went away ends the run, which says so.
    const rates = await this.run.rates().catch(() => undefined)
    if (!rates) return
    byId('rates', HTMLElement).hidden = false
    this.#rates.show(rates)
  }
}
