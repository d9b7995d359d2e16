import type { ProfileResult } from '../index.js'
import { lineChart } from './chart.js'
import { create, header, scrollRegion, setText } from './dom.js'
import { ProfileView } from './profile-view.js'
import type { Speed, SpeedBin } from './speed.js'
import { Throttle } from './throttle.js'
import type { Subject, View } from './view.js'
import { count, rate } from './words.js'

const BINS = 30
const INTERVAL_MS = 300

/** How fast tokens came, and where the time of a step goes, where that was measured. */
export class SpeedView implements View {
  readonly root = create('div', { className: 'speed' })
  readonly #figures = create('p', { className: 'figures' })
  readonly #chart = create('div')
  readonly #numbers = create('details')
  readonly #table = scrollRegion('Speed, over time', 'scroll layers')
  readonly #profile = new ProfileView()
  #dirty = true
  readonly #throttle: Throttle

  constructor(
    private readonly subject: Subject,
    request: () => void,
  ) {
    this.#throttle = new Throttle(INTERVAL_MS, request)
    this.#numbers.append(create('summary', { text: 'The line in numbers' }), this.#table)
    this.root.append(this.#figures, this.#chart, this.#numbers, this.#profile.root)
  }

  invalidate(): void {
    this.#dirty = true
  }

  reset(): void {
    this.#dirty = true
    this.#throttle.reset()
  }

  render(): void {
    if (!this.#dirty || !this.#throttle.isDue()) return
    this.#dirty = false
    const { speed } = this.subject
    const bins = speed.along(BINS)
    setText(this.#figures, this.#sentence(speed))
    this.#numbers.hidden = bins.length === 0
    this.#chart.replaceChildren(...(bins.length > 0 ? [chart(bins, speed)] : []))
    this.#table.replaceChildren(...(bins.length > 0 ? [table(bins)] : []))
  }

  showSelected(): void {}

  showProfile(profile: ProfileResult | undefined): void {
    this.#profile.show(profile)
  }

  #sentence(speed: Speed): string {
    if (speed.tokens + speed.promptTokens > 0) {
      const prompt = speed.prompt > 0 ? `Prompt: ${count(speed.promptTokens, 'token')}, ${rate(speed.prompt)}. ` : ''
      return `${prompt}Generated: ${count(speed.tokens, 'token')} in ${speed.seconds.toFixed(1)} s, ${rate(speed.generation)}.`
    }
    return this.subject.store?.length
      ? 'A saved trace has no times: speed is shown for text that is generated here.'
      : 'Nothing has run yet.'
  }
}

function chart(bins: readonly SpeedBin[], speed: Speed): SVGSVGElement {
  const top = Math.max(...bins.map((bin) => bin.tokensPerSecond))
  return lineChart([{ name: 'speed', values: bins.map((bin) => bin.tokensPerSecond) }], {
    top,
    topLabel: top < 10 ? top.toFixed(1) : top.toFixed(0),
    first: '0 s',
    last: `${speed.seconds.toFixed(1)} s of generating`,
    label: 'Tokens per second over the time of generating; the same in numbers below',
  })
}

function table(bins: readonly SpeedBin[]): HTMLTableElement {
  const result = create('table')
  result.append(create('caption', { className: 'visually-hidden', text: 'Tokens per second, by stretch of time' }))
  result.createTHead().insertRow().append(header('From', 'col'), header('Speed', 'col'))
  const body = result.createTBody()
  for (const { seconds, tokensPerSecond } of bins) {
    body.insertRow().append(header(`${seconds.toFixed(1)} s`, 'row'), create('td', { text: rate(tokensPerSecond) }))
  }
  return result
}
