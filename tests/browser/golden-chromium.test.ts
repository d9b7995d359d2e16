import { findChromium } from '../../src/node/browsers.js'
import { describeGoldenRuns } from './golden-runs.js'

// One token, 260 and 40 of them. The other prompts and the other model take minutes: they are long tests.
describeGoldenRuns('chromium', findChromium(), ['stories260k'], ['p0', 'p3', 'p4'])
