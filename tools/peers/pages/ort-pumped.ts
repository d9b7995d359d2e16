import { host } from './host.js'
import { openOnnxRuntime } from './onnxruntime.js'

/*
 * Firefox looks whether a read-back is ready when something is submitted, and otherwise every 100 ms. Empty submits while a step is waited for
 * take that ceiling away; no user of the engine has that.
 */
host(() =>
  openOnnxRuntime(async (device, step) => {
    let waiting = true
    const pump = async () => {
      const { queue } = await device()
      while (waiting) {
        queue.submit([])
        await new Promise((resolve) => setTimeout(resolve, PAUSE_MS))
      }
    }
    const pumping = pump()
    try {
      return await step
    } finally {
      waiting = false
      await pumping
    }
  }),
)

/** Long enough for the engine itself to go on, on a machine with few cores. */
const PAUSE_MS = 1
