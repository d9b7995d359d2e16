// The worker that `loadModel` starts.
import { serveModels } from './serve.js'

serveModels()
