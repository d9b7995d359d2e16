import { SkipstoneError } from '../../errors.js'
import type { ChatCompletions } from './completions.js'
import type { EmbeddingRequest, Embeddings } from './embeddings.js'
import type { TextCompletions } from './text-completions.js'
import type { ChatRequest, TextRequest } from './types.js'

interface Completions {
  readonly chat: { readonly completions: ChatCompletions }
  readonly completions: TextCompletions
  readonly embeddings: Embeddings
}

/**
 * A `fetch` that answers OpenAI's API from a loaded model: for clients that were written for a server, as in
 * `new OpenAI({ baseURL: 'http://local/v1', apiKey: 'none', fetch: openAiFetch(model) })`. Nothing reaches a network. It knows
 * `POST …/chat/completions`, `POST …/completions`, `POST …/embeddings` and `GET …/models`; failures are responses with OpenAI's error body.
 */
export function openAiFetch(model: Completions): typeof globalThis.fetch {
  return async (input, init) => {
    const request = new Request(input, init)
    const { signal } = request
    const path = new URL(request.url).pathname
    try {
      if (path.endsWith('/models'))
        return Response.json({ object: 'list', data: [{ id: 'skipstone', object: 'model' }] })
      const body = await jsonBody(request)
      if (path.endsWith('/chat/completions')) {
        return await respond(await model.chat.completions.create(body as unknown as ChatRequest, { signal }))
      }
      if (path.endsWith('/embeddings')) {
        return await respond(await model.embeddings.create(body as unknown as EmbeddingRequest, { signal }))
      }
      if (path.endsWith('/completions')) {
        return await respond(await model.completions.create(body as unknown as TextRequest, { signal }))
      }
      throw new SkipstoneError(
        'not-found',
        `There is no ${path} here: use /chat/completions, /completions, /embeddings or /models.`,
      )
    } catch (error) {
      // An aborted fetch has no response.
      if (signal.aborted) throw new DOMException('The operation was aborted.', 'AbortError')
      return failure(error)
    }
  }
}

async function jsonBody(request: Request): Promise<Record<string, unknown>> {
  const body: unknown = await request.json().catch(() => undefined)
  if (typeof body === 'object' && body !== null && !Array.isArray(body)) return body as Record<string, unknown>
  throw new SkipstoneError('bad-option', 'The body of the request is not a JSON object.')
}

async function respond(answer: object | AsyncIterable<object>): Promise<Response> {
  if (!(Symbol.asyncIterator in answer)) return Response.json(answer)
  // What fails before the first piece is an answer of its own.
  const pieces = answer[Symbol.asyncIterator]()
  let next: IteratorResult<object> | undefined = await pieces.next()
  const encoder = new TextEncoder()
  const stream = new ReadableStream<Uint8Array>({
    async pull(controller) {
      const { done, value } = next ?? (await pieces.next())
      next = undefined
      controller.enqueue(encoder.encode(`data: ${done ? '[DONE]' : JSON.stringify(value)}\n\n`))
      if (done) controller.close()
    },
    async cancel() {
      await pieces.return?.()
    },
  })
  return new Response(stream, { headers: { 'content-type': 'text/event-stream' } })
}

const STATUS: Partial<Record<SkipstoneError['code'], number>> = {
  'bad-option': 400,
  'unknown-policy': 400,
  'missing-weights': 400,
  'context-full': 400,
  unsupported: 400,
  'not-found': 404,
  busy: 429,
}

function failure(error: unknown): Response {
  const code = error instanceof SkipstoneError ? error.code : 'internal'
  const status = STATUS[code] ?? 500
  const type = status < 500 ? 'invalid_request_error' : 'server_error'
  const message = error instanceof Error ? error.message : String(error)
  return Response.json({ error: { message, type, code, param: null } }, { status })
}
