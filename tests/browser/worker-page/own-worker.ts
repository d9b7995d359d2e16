import { serveModels } from '../../../src/worker/serve.js'

serveModels()
