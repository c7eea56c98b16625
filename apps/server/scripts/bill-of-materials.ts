/** What is inside the binary, for programs that look for known faults: CycloneDX 1.6 (https://cyclonedx.org/docs/1.6/json/). */
import { createHash } from 'node:crypto';
import type { PackageInside } from './packages-inside.ts';

interface Component {
  type: 'application' | 'library' | 'platform';
  'bom-ref': string;
  name: string;
  version: string;
  purl?: string;
  hashes?: { alg: 'SHA-256' | 'SHA-512'; content: string }[];
  licenses?: ({ license: { id: string } } | { expression: string })[];
  components?: Component[];
}

export interface Inside {
  program: { version: string; licence: string; sha256: string };
  packages: readonly PackageInside[];
  /** By `name@version`: what the lock file says they hash to, as in `sha512-...`. */
  integrity: ReadonlyMap<string, string>;
  /** Node's own parts by name, as in `process.versions`. */
  node: Readonly<Record<string, string | undefined>>;
  /** The one in the addon, not Node's. */
  sqliteVersion: string;
}

/** Without a time, and with a serial number that is made of the contents: the same binary has the same list. */
export function billOfMaterials({ program, packages, integrity, node, sqliteVersion }: Inside): string {
  const { node: nodeVersion = '', ...parts } = node;
  const components: Component[] = [
    {
      ...generic('platform', 'node', nodeVersion),
      licenses: [{ license: { id: 'MIT' } }],
      components: Object.entries(parts).flatMap(([name, version]) => (version ? [generic('library', name, version, 'node:')] : [])),
    },
    { ...generic('library', 'sqlite', sqliteVersion), licenses: [{ license: { id: 'blessing' } }] },
    ...packages.map((one) => componentOf(one, integrity.get(`${one.name}@${one.version}`))),
  ];
  const self: Component = {
    ...generic('application', 'synthstack-byok', program.version),
    hashes: [{ alg: 'SHA-256', content: program.sha256 }],
    licenses: [{ license: { id: program.licence } }],
  };
  const contents = {
    version: 1,
    metadata: { component: self },
    components,
    dependencies: [{ ref: self['bom-ref'], dependsOn: components.map((one) => one['bom-ref']) }],
  };
  const serialNumber = `urn:uuid:${uuidOf(JSON.stringify(contents))}`;
  return `${JSON.stringify({ bomFormat: 'CycloneDX', specVersion: '1.6', serialNumber, ...contents }, null, 2)}\n`;
}

function generic(type: Component['type'], name: string, version: string, place = ''): Component {
  const purl = `pkg:generic/${name}@${encodeURIComponent(version)}`;
  return { type, 'bom-ref': place + purl, name, version, purl };
}

function componentOf({ name, version, licence }: PackageInside, integrity: string | undefined): Component {
  const purl = `pkg:npm/${name.replace('@', '%40')}@${version}`;
  const [, sha512] = /^sha512-(.+)$/.exec(integrity ?? '') ?? [];
  if (sha512 === undefined) throw new Error(`The lock file does not say what ${name}@${version} hashes to.`);
  return {
    type: 'library',
    'bom-ref': purl,
    name,
    version,
    purl,
    hashes: [{ alg: 'SHA-512', content: Buffer.from(sha512, 'base64').toString('hex') }],
    licenses: [/\s/.test(licence) ? { expression: licence } : { license: { id: licence } }],
  };
}

/** Version 8 of RFC 9562: of the maker's own making. */
function uuidOf(text: string): string {
  const hex = createHash('sha256').update(text).digest('hex');
  return [hex.slice(0, 8), hex.slice(8, 12), `8${hex.slice(13, 16)}`, `a${hex.slice(17, 20)}`, hex.slice(20, 32)].join('-');
}

/** @param lock  the text of pnpm-lock.yaml */
export function integrityIn(lock: string): Map<string, string> {
  const found = lock.matchAll(/^ {2}'?([^\s':]+@[^\s':]+)'?:\n {4}resolution: \{integrity: ([^\s,}]+)/gm);
  return new Map([...found].map(([, id = '', integrity = '']) => [id, integrity]));
}
