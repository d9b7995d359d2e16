import type {
  ChatMessage,
  GenerateOptions,
  Model,
  PolicyRequest,
  PromptStep,
  Session,
  Step,
  TokenStep,
} from '../src/index.js'
import { fromBits, fromTrace } from './decisions.js'
import { count } from './format.js'
import type { TextView } from './text-view.js'
import type { Totals } from './totals.js'

/** One session and its text on the page. */
export class Conversation {
  readonly #session: Session
  #messages: ChatMessage[] = []

  constructor(
    private readonly model: Model,
    request: PolicyRequest,
    private policy: string,
    private readonly view: TextView,
    private readonly totals: Totals,
    private readonly chats: boolean,
  ) {
    this.#session = model.createSession({ policy: request })
  }

  /** Later steps obey another policy; `name` is what the page calls it. */
  async usePolicy(request: PolicyRequest, name: string): Promise<void> {
    await this.#session.usePolicy(request)
    this.policy = name
  }

  /**
   * Generates after `prompt`, which may be empty where there is text already; in a chat it is the user's next message, or, empty, lets the
   * answer go on. Returns how it ended, in words.
   */
  async generate(prompt: string, options: GenerateOptions): Promise<string> {
    const goOn = prompt === '' && this.#session.tokens.length > 0
    let ending = ''
    let answer = ''
    const clock = new Clock()
    const asked = { role: 'user', content: prompt }
    const steps =
      this.chats && !goOn
        ? this.#session.chat([...this.#messages, asked], options)
        : this.#session.generate(goOn ? [] : prompt, options)
    try {
      for await (const step of steps) {
        answer += step.text
        if (this.chats && !goOn && step.kind === 'prompt') this.#messages.push(asked)
        ending = (await this.#show(step, clock)) || ending
      }
    } finally {
      if (this.chats) this.#heard(answer)
      this.#settle()
    }
    return ending
  }

  /** An answer, or the rest of one. */
  #heard(answer: string): void {
    const last = this.#messages.at(-1)
    if (answer === '' || !last) return
    if (last.role === 'user') this.#messages.push({ role: 'assistant', content: answer })
    else this.#messages = [...this.#messages.slice(0, -1), { ...last, content: last.content + answer }]
  }

  dispose(): void {
    this.#session.dispose()
  }

  async #show(step: Step, clock: Clock): Promise<string> {
    if (step.kind === 'prompt') {
      clock.prompt(step.tokens.length)
      await this.#showPrompt(step)
    } else if (step.kind === 'token') {
      clock.token()
      await this.#showToken(step)
    } else {
      this.view.addRest(step.text)
      const reason = step.finishReason === 'stop' ? 'The model ended its text' : 'Done'
      return `${reason}: ${count(step.tokens.length, 'token')}.`
    }
    this.totals.showSometimes(this.model, this.#session, this.policy, clock)
    return ''
  }

  /** Tokens that the page shows already are only marked: the last one of before, or all after a lost device. */
  async #showPrompt({ tokens, position, executed }: PromptStep): Promise<void> {
    const fresh = tokens.slice(this.view.length - position)
    const pieces = await this.model.text.pieces(fresh, this.view.ids)
    pieces.forEach(({ text, special }, i) => {
      this.view.add(fresh[i]!, text, 'prompt', special)
    })
    const words = executed.length / tokens.length
    tokens.forEach((_, i) => {
      this.#mark(position + i, executed.subarray(i * words, (i + 1) * words))
    })
  }

  /** The bits are those of the position that chose the token; its own come when it was run. */
  async #showToken({ token, text, position, executed }: TokenStep): Promise<void> {
    const [piece] = text === '' ? await this.model.text.pieces([token]) : []
    this.view.add(token, piece?.special ? piece.text : text, 'generated', piece?.special)
    this.#mark(position, executed)
  }

  #mark(position: number, bits: Uint32Array): void {
    this.view.mark(position, fromBits(bits, this.model.config.layers))
  }

  /** Brings the page in step with the session, however the generation ended. */
  #settle(): void {
    this.view.truncate(this.#session.tokens.length)
    for (const step of this.#session.trace().steps.slice(-1)) this.view.mark(step.position, fromTrace(step))
    this.totals.show(this.model, this.#session, this.policy)
  }
}

/** Rates while a generation is under way: the session knows them when it is over. */
class Clock {
  readonly #started = performance.now()
  #prompted = 0
  #tokens = 0
  prefill = 0

  get decode(): number {
    return this.#tokens > 1 ? (1000 * (this.#tokens - 1)) / (performance.now() - this.#prompted) : 0
  }

  prompt(tokens: number): void {
    this.#prompted = performance.now()
    this.prefill = (1000 * tokens) / (this.#prompted - this.#started)
  }

  token(): void {
    this.#tokens++
  }
}
