/** Finds a Chromium for the browser tests, or installs Debian's: playwright's own download is not to be had everywhere. */
import { spawnSync } from 'node:child_process';
import { accessSync, constants, existsSync } from 'node:fs';

const places = [
  '/usr/bin/chromium',
  '/usr/bin/chromium-browser',
  '/usr/bin/google-chrome',
  '/usr/bin/google-chrome-stable',
  '/opt/google/chrome/chrome',
  '/snap/bin/chromium',
  '/Applications/Google Chrome.app/Contents/MacOS/Google Chrome',
  '/Applications/Chromium.app/Contents/MacOS/Chromium',
];

/**
 * Chromium heeds the last `--disable-features` alone: here are playwright's, and the lists under the address bar, for each of which every
 * window, though nobody sees it, would start a renderer and load a page: half of what opening a page costs.
 */
const disabledFeatures = [
  'AvoidUnnecessaryBeforeUnloadCheckSync',
  'DestroyProfileOnBrowserClose',
  'HttpsUpgrades',
  'HttpsFirstBalancedModeAutoEnable',
  'LensOverlay',
  'MediaRouter',
  'PaintHolding',
  'ThirdPartyStoragePartitioning',
  'AvoidCorsURLLoaderRestartOnRedirect',
  'OptimizationHints',
  'NetworkTimeServiceQuerying',
  'AimEnabled',
  'PreconnectToSearch',
  'WebUIOmniboxPopup',
  'WebUIOmniboxAimPopup',
  'WebUIOmniboxFullPopup',
];

/** For tests: nothing of it calls home, and it runs as root in a container. */
export const chromiumFlags = [
  '--headless',
  '--no-sandbox',
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
  `--disable-features=${disabledFeatures.join(',')}`,
];

const whatToDo = `Browser tests need Chromium or Chrome, and none was found. Do one of these, then run them again:
  - Debian, Ubuntu:  apt-get install -y --no-install-recommends chromium
  - elsewhere:       install Chrome or Chromium as you usually do
  - anywhere:        set CHROMIUM_PATH to the program of a Chromium that you have`;

/** The path of a Chromium that can be run. @throws Error that says loudly what to do */
export async function findChromium(): Promise<string> {
  const named = process.env.CHROMIUM_PATH;
  if (named) {
    if (runs(named)) return named;
    throw new Error(`CHROMIUM_PATH is ${named}, but there is no program that can be run.\n${whatToDo}`);
  }
  const found = places.find(runs);
  if (found) return found;
  if (process.getuid?.() !== 0 || !existsSync('/etc/debian_version')) throw new Error(whatToDo);
  return install();
}

function install(): string {
  process.stderr.write('No Chromium found: installing Debian’s (15 s or so)...\n');
  const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' };
  for (const args of [
    ['update', '-qq'],
    ['install', '-y', '-qq', '--no-install-recommends', 'chromium'],
  ]) {
    const done = spawnSync('apt-get', args, { env, encoding: 'utf8' });
    if (done.status !== 0) throw new Error(`apt-get ${args.join(' ')} failed:\n${done.stdout}${done.stderr}\n${whatToDo}`);
  }
  const found = places.find(runs);
  if (!found) throw new Error(whatToDo);
  return found;
}

function runs(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}
