import { host } from './host.js'
import { openOnnxRuntime } from './onnxruntime.js'

host(() => openOnnxRuntime((_device, step) => step))
