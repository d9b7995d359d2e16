import { byId, create } from './dom.js'

/** Says at once, and in plain words, that nothing can run here. Returns whether WebGPU is there. */
export function checkWebGpu(): boolean {
  if (navigator.gpu) return true
  const notice = byId('no-webgpu', HTMLElement)
  const advice = window.isSecureContext
    ? 'Open it in a current Chrome, Edge, Safari or Firefox. Where that is what you use, turn on hardware acceleration in its settings.'
    : 'Browsers offer it on secure pages only: open this page with https, or from localhost.'
  notice.append(
    create('h2', { text: 'This browser does not offer WebGPU here' }),
    create('p', {
      text: `This page runs a language model on the graphics card, and WebGPU is its way there. ${advice}`,
    }),
  )
  notice.hidden = false
  return false
}
