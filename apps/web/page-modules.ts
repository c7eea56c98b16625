/** Writes down which files the pages are made of: what the single binary holds of others is listed from it, with its licences. */
import { mkdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import type { Plugin } from 'vite';

/** Not in dist: everything in there is served. */
export const pageModulesFile = join(import.meta.dirname, 'node_modules/.cache/page-modules.json');

export function pageModules(): Plugin {
  return {
    name: 'page-modules',
    apply: 'build',
    writeBundle() {
      const files = [...this.getModuleIds()].filter((id) => !id.startsWith('\0')).sort();
      mkdirSync(dirname(pageModulesFile), { recursive: true });
      writeFileSync(pageModulesFile, JSON.stringify(files));
    },
  };
}
