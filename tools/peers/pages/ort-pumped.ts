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
        await nextTask()
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

const channel = new MessageChannel()

/** A turn of the event loop; timers would wait for at least 4 ms. */
function nextTask(): Promise<void> {
  return new Promise((resolve) => {
    channel.port1.onmessage = () => resolve()
    channel.port2.postMessage(null)
  })
}
