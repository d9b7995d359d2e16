// Gets the machine ready for the tests, which need Chromium, Firefox and, on Linux, a Vulkan driver that Dawn can use.
// `npm test` runs this first. What is missing is installed where that is possible without asking anyone: with apt-get as
// root on Debian and Ubuntu, and Chromium through Playwright elsewhere. Nothing here fails: tests whose needs are not met
// report themselves as not run, or as failed on CI.
import { execFileSync, spawnSync } from 'node:child_process'
import { existsSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { fileURLToPath } from 'node:url'
import { runnerImport } from 'vite'

const root = path.dirname(path.dirname(fileURLToPath(import.meta.url)))
const { module: browsers } = await runnerImport(path.join(root, 'src/node/browsers.ts'))
const { module: adapters } = await runnerImport(path.join(root, 'src/node/adapters.ts'))

const needs = [
  { name: 'Chromium', isMet: () => browsers.findChromium() !== undefined },
  { name: 'Firefox', isMet: () => browsers.findFirefox() !== undefined },
  { name: 'lavapipe', isMet: () => process.platform !== 'linux' || dawnRunsOnLavapipe() },
]
const missing = () => needs.filter((need) => !need.isMet()).map((need) => need.name)

if (missing().length > 0) {
  if (aptWorks()) installWithApt(missing())
  if (missing().includes('Chromium')) installWithPlaywright()
  if (missing().length > 0) {
    console.error(`Some tests will not run: install ${missing().join(', ')} (README.md, "Tests") and run them again.`)
  }
}

/** In a process of its own: a driver that is too old only shows when Dawn looks at it, and Dawn prints what it thinks. */
function dawnRunsOnLavapipe() {
  const manifest = adapters.findDriverManifest('lavapipe')
  if (manifest === undefined) return false
  const script = `
    const { create } = await import('webgpu')
    process.exit((await create(['backend=vulkan']).requestAdapter()) === null ? 1 : 0)`
  const env = { ...process.env, ...adapters.driverEnvironment(manifest) }
  return spawnSync(process.execPath, ['--input-type=module', '-e', script], { cwd: root, env }).status === 0
}

function aptWorks() {
  return process.getuid?.() === 0 && existsSync('/usr/bin/apt-get') && existsSync('/etc/os-release')
}

function installWithApt(names) {
  const { ID, VERSION_CODENAME } = osRelease()
  // Ubuntu's chromium package only points at a snap; firefox-esr may come from an archive that was added.
  const packages = {
    Chromium: ID === 'ubuntu' ? [] : [['chromium']],
    Firefox: [['firefox-esr']],
    // Debian 12 itself has Mesa 22.3, whose lavapipe Dawn refuses.
    lavapipe: [
      VERSION_CODENAME === 'bookworm' ? ['-t', 'bookworm-backports', 'mesa-vulkan-drivers'] : ['mesa-vulkan-drivers'],
    ],
  }
  console.error(`Installing with apt-get for the tests: ${names.join(', ')}.`)
  const added = VERSION_CODENAME === 'bookworm' && names.includes('lavapipe') ? addBackports() : undefined
  aptGet('update')
  for (const arguments_ of names.flatMap((name) => packages[name])) {
    aptGet('install', '-y', '--no-install-recommends', ...arguments_)
  }
  // On a mirror without backports the entry would break every later update of this machine.
  if (added !== undefined && !dawnRunsOnLavapipe()) rmSync(added)
}

/** Runs apt-get; when it fails, it says why and goes on. */
function aptGet(...arguments_) {
  try {
    const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' }
    execFileSync('apt-get', ['-q', '-o', 'DPkg::Lock::Timeout=120', ...arguments_], {
      env,
      encoding: 'utf8',
      stdio: 'pipe',
    })
  } catch (error) {
    const reason = String(error.stderr || error.message)
      .trim()
      .split('\n')
      .slice(-3)
      .join('\n')
    console.error(`apt-get ${arguments_.join(' ')} failed:\n${reason}`)
  }
}

/**
 * Adds Debian 12's backports from the mirror that the machine already uses; the new file's path, or undefined where they
 * are there already or the mirror cannot be told.
 */
function addBackports() {
  const sources = aptSources()
  if (sources.some(({ text }) => /^[^#]*\bbookworm-backports\b/m.test(text))) return undefined
  for (const { file, text } of sources) {
    const entry = file.endsWith('.sources') ? deb822Backports(text) : oneLineBackports(text)
    if (entry === undefined) continue
    const added = `/etc/apt/sources.list.d/skipstone-backports${path.extname(file)}`
    writeFileSync(added, `${entry}\n`)
    return added
  }
  return undefined
}

function aptSources() {
  const folder = '/etc/apt/sources.list.d'
  const files = existsSync(folder) ? readdirSync(folder).map((name) => path.join(folder, name)) : []
  return ['/etc/apt/sources.list', ...files]
    .filter((file) => /\.(list|sources)$/.test(file) && existsSync(file))
    .map((file) => ({ file, text: readFileSync(file, 'utf8') }))
}

/** The stanza of Debian 12 itself with the suite exchanged, so that its mirror, key and options are kept. */
function deb822Backports(text) {
  const stanza = text
    .split(/\n\s*\n/)
    .find((one) => /^Suites:(.*\s)?bookworm(\s|$)/m.test(one) && !/^Enabled:\s*no/im.test(one))
  return stanza?.replace(/^Suites:.*$/m, 'Suites: bookworm-backports').replace(/^Components:.*$/m, 'Components: main')
}

function oneLineBackports(text) {
  const [, start] = /^\s*(deb\s+(?:\[[^\]]*\]\s+)?\S+\s+)bookworm\s/m.exec(text) ?? []
  return start && `${start}bookworm-backports main`
}

function osRelease() {
  const pairs = readFileSync('/etc/os-release', 'utf8').matchAll(/^(\w+)="?(.*?)"?$/gm)
  return Object.fromEntries([...pairs].map(([, key, value]) => [key, value]))
}

function installWithPlaywright() {
  console.error('Downloading Chromium for the tests with Playwright.')
  spawnSync('npx', ['playwright', 'install', '--no-shell', 'chromium'], {
    cwd: root,
    // Where the network does not allow it, that should show soon.
    env: { ...process.env, PLAYWRIGHT_DOWNLOAD_CONNECTION_TIMEOUT: '10000' },
    stdio: 'ignore',
    timeout: 600_000,
    shell: process.platform === 'win32', // npx is a script there
  })
}
