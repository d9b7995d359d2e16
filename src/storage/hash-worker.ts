import { sha256 } from '@noble/hashes/sha2.js'
import { bytesToHex } from '@noble/hashes/utils.js'

// Messages in: chunks of one file, in order, then null. Each is answered: chunks with themselves, null with the hash.

const hash = sha256.create()

addEventListener('message', ({ data }: MessageEvent<Uint8Array<ArrayBuffer> | null>) => {
  if (!data) return postMessage(bytesToHex(hash.digest()))
  hash.update(data)
  postMessage(data, { transfer: [data.buffer] })
})
postMessage('ready')
