/** Which packages a program is made of, by the files that the bundlers took up, and what each of them says of itself. */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { isAllowed } from './licences.ts';

export interface PackageInside {
  name: string;
  version: string;
  /** As SPDX writes it. */
  licence: string;
  author: string;
  /** Texts of its licence and notices, as they lie in the package; most have one. */
  texts: readonly string[];
}

const marker = '/node_modules/';

/**
 * @param modules  paths of files; what is not of a package, ours or made up by a bundler, is left out
 * @returns each package once for each version, by name
 * @throws Error that names all packages whose licence is not on the list
 */
export function packagesInside(modules: Iterable<string>): PackageInside[] {
  const folders = new Set([...modules].flatMap(folderOf));
  const found = new Map([...folders].map(readPackage).map((one) => [`${one.name}@${one.version}`, one]));
  const packages = [...found.values()].sort((a, b) => byLetter(a.name, b.name) || byLetter(a.version, b.version));
  const refused = packages.filter(({ licence }) => !isAllowed(licence));
  if (refused.length === 0) return packages;
  const list = refused.map(({ name, version, licence }) => `  ${name}@${version}: ${licence || 'none is named'}`);
  throw new Error(`These packages have a licence that is not on the list in licences.ts:\n${list.join('\n')}`);
}

/** Not by the reader's language: the same order everywhere. */
const byLetter = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0);

function folderOf(module: string): string[] {
  const path = module.replaceAll('\\', '/').replace(/[?\0].*$/, '');
  const at = path.lastIndexOf(marker);
  if (at < 0) return [];
  const [first = '', second = ''] = path.slice(at + marker.length).split('/');
  return [path.slice(0, at + marker.length) + (first.startsWith('@') ? `${first}/${second}` : first)];
}

function readPackage(folder: string): PackageInside {
  const { name, version, license, author } = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8')) as Record<string, unknown>;
  return {
    name: String(name),
    version: String(version),
    licence: typeof license === 'string' ? license : '',
    author: authorOf(author) || `the authors of ${name}`,
    texts: readdirSync(folder, { withFileTypes: true })
      .filter((file) => file.isFile() && /^(licen[cs]e|copying|notice)/i.test(file.name))
      .map((file) => file.name)
      .sort()
      .map((file) => readFileSync(join(folder, file), 'utf8').trim()),
  };
}

function authorOf(author: unknown): string {
  if (typeof author === 'string') return author;
  return typeof author === 'object' && author !== null && 'name' in author ? String(author.name) : '';
}
