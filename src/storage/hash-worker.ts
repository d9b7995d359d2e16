import { sha256 } from '@noble/hashes/sha2.js'
import { bytesToHex } from '@noble/hashes/utils.js'
import { release } from './release.js'

// Messages in: chunks of one file, in order, then null. Each is answered: chunks with '', null with the hash.

const hash = sha256.create()

addEventListener('message', ({ data }: MessageEvent<Uint8Array<ArrayBuffer> | null>) => {
  if (data) {
    hash.update(data)
    release(data)
  }
  postMessage(data ? '' : bytesToHex(hash.digest()))
})
postMessage('ready')
