/** Writes the pages of docs/ that are made of the program. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { generatedPages } from './docs-pages.ts';

const docs = join(import.meta.dirname, '../../../docs');
for (const [name, text] of Object.entries(generatedPages())) {
  writeFileSync(join(docs, name), text);
  console.log(`docs/${name}`);
}
