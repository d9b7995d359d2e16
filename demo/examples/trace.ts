import { type InspectorTrace, SkipInspector } from 'skipstone/inspector'

const inspector = document.querySelector('skip-inspector')
const response = await fetch(new URL('./trace.json', import.meta.url))
if (inspector instanceof SkipInspector) inspector.trace = (await response.json()) as InspectorTrace
