import { Connection } from './connection.js'
import type { Port } from './port.js'
import { CONNECT } from './protocol.js'
import { SharedModels } from './shared-models.js'

/**
 * Makes this worker run models for pages: called in a dedicated, a shared or a service worker, it serves all that connect with
 * `loadModel(…, { worker })` of `skipstone/worker`; given a port, it serves that. Models that several pages load from the same address with the same options
 * are one on the GPU. Call it before the worker's first `await`, or messages are missed.
 */
export function serveModels(options: { port?: Port; gpu?: GPU } = {}): void {
  const shared = new SharedModels()
  const serve = (port: Port) => void new Connection(port, shared, options.gpu)
  if (options.port) {
    serve(options.port)
    return
  }
  const scope = globalThis as unknown as Port & EventTarget
  if ('onconnect' in scope) {
    scope.addEventListener('connect', (event) => {
      for (const port of (event as MessageEvent).ports) serve(port as unknown as Port)
    })
    return
  }
  if ('onfetch' in scope) {
    scope.addEventListener('message', ({ data, ports }: MessageEvent<unknown>) => {
      if (data === CONNECT && ports[0]) serve(ports[0] as unknown as Port)
    })
    return
  }
  serve(scope)
}
