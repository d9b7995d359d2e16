import { Sha256 } from './sha256-stream.js'

// Messages in: chunks of one file, in order, then null. Each is answered: chunks with themselves, null with the hash.

const hash = new Sha256()

addEventListener('message', ({ data }: MessageEvent<Uint8Array<ArrayBuffer> | null>) => {
  if (!data) return postMessage(hash.digest())
  hash.update(data)
  postMessage(data, { transfer: [data.buffer] })
})
postMessage('ready')
