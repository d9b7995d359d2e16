// The page of harness.test.ts.

async function openDevice(): Promise<GPUDevice> {
  const adapter = await navigator.gpu.requestAdapter()
  return adapter!.requestDevice()
}

const ADD = `
  @group(0) @binding(0) var<storage, read> a: array<f32>;
  @group(0) @binding(1) var<storage, read> b: array<f32>;
  @group(0) @binding(2) var<storage, read_write> sum: array<f32>;
  @compute @workgroup_size(64) fn main(@builtin(global_invocation_id) id: vec3u) {
    if (id.x < arrayLength(&sum)) { sum[id.x] = a[id.x] + b[id.x]; }
  }`

async function add({ a, b }: { a: number[]; b: number[] }): Promise<number[]> {
  const device = await openDevice()
  const bytes = a.length * 4
  const storage = (values: number[]) => {
    const usage = GPUBufferUsage.STORAGE | GPUBufferUsage.COPY_DST | GPUBufferUsage.COPY_SRC
    const buffer = device.createBuffer({ size: bytes, usage })
    device.queue.writeBuffer(buffer, 0, new Float32Array(values))
    return buffer
  }
  const buffers = [storage(a), storage(b), storage(a.map(() => 0))]
  const result = device.createBuffer({ size: bytes, usage: GPUBufferUsage.MAP_READ | GPUBufferUsage.COPY_DST })
  const module = device.createShaderModule({ code: ADD })
  const pipeline = await device.createComputePipelineAsync({ layout: 'auto', compute: { module } })
  const entries = buffers.map((buffer, binding) => ({ binding, resource: { buffer } }))
  const encoder = device.createCommandEncoder()
  const pass = encoder.beginComputePass()
  pass.setPipeline(pipeline)
  pass.setBindGroup(0, device.createBindGroup({ layout: pipeline.getBindGroupLayout(0), entries }))
  pass.dispatchWorkgroups(Math.ceil(a.length / 64))
  pass.end()
  encoder.copyBufferToBuffer(buffers[2]!, 0, result, 0, bytes)
  device.queue.submit([encoder.finish()])
  await result.mapAsync(GPUMapMode.READ)
  const sum = [...new Float32Array(result.getMappedRange())]
  device.destroy()
  return sum
}

/** The kinds of the messages that a shader gets from this browser's compiler. */
async function compile(code: string): Promise<string[]> {
  const device = await openDevice()
  device.pushErrorScope('validation')
  const { messages } = await device.createShaderModule({ code }).getCompilationInfo()
  await device.popErrorScope()
  device.destroy()
  return messages.map((message) => message.type)
}

function fail(code: string): never {
  throw Object.assign(new Error('This failed on purpose.'), { code })
}

function say(text: string): void {
  console.warn(text)
}

function never(): Promise<never> {
  return new Promise(() => {})
}

function busy(ms: number): string {
  const end = performance.now() + ms
  while (performance.now() < end);
  return 'done'
}

Object.assign(window, { skipstoneHost: { add, compile, fail, say, never, busy } })
