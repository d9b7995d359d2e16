// The surface of `skipstone/worker`: that of `skipstone`, with models that run in a worker.
export * from '../index.js'
export { loadModel, type WorkerLoadOptions } from './client.js'
