import { release } from './release.js'
import { Sha256 } from './sha256-stream.js'

// Messages in: chunks of one file, in order, then null. Each is answered: chunks with '', null with the hash.

const hash = new Sha256()

addEventListener('message', ({ data }: MessageEvent<Uint8Array<ArrayBuffer> | null>) => {
  if (data) {
    hash.update(data)
    release(data)
  }
  postMessage(data ? '' : hash.digest())
})
postMessage('ready')
