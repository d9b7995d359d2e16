import { host } from './host.js'
import { openWllama } from './wllama.js'

host(() => openWllama('wasm'))
