/** Under which licences the binary may hold the work of others, and the file that goes along with it and says so. */
import type { PackageInside } from './packages-inside.ts';

/** Those that ask for no more than to be named, with their text. */
const allowed = new Set([
  '0BSD',
  'Apache-2.0',
  'BlueOak-1.0.0',
  'BSD-2-Clause',
  'BSD-3-Clause',
  'CC0-1.0',
  'ISC',
  'MIT',
  'MIT-0',
  'Python-2.0',
  'Unlicense',
]);

/** @param expression  an SPDX expression of names, AND, OR and parentheses; of an OR, one side is enough */
export function isAllowed(expression: string): boolean {
  const words = expression.match(/[()]|[^\s()]+/g) ?? [];
  let at = 0;
  const one = (): boolean => {
    const word = words[at++] ?? '';
    if (word !== '(') return allowed.has(word);
    const inside = either();
    return words[at++] === ')' && inside;
  };
  const both = (): boolean => {
    let all = one();
    while (words[at] === 'AND' && at++ >= 0) all = one() && all;
    return all;
  };
  const either = (): boolean => {
    let any = both();
    while (words[at] === 'OR' && at++ >= 0) any = both() || any;
    return any;
  };
  return either() && at === words.length;
}

/** Work of others that comes in no package of its own. */
export interface Other {
  name: string;
  text: string;
}

/** @throws Error: a package has no text, and none is known for its licence */
export function thirdPartyLicences(packages: readonly PackageInside[], others: readonly Other[]): string {
  const parts = [
    ...others,
    ...packages.map((one) => ({ name: `${one.name} ${one.version} (${one.licence})`, text: textOf(one, packages) })),
  ];
  const head = `SynthStack BYOK holds the work of others, ${parts.length} in number. Each stands here with its licence.`;
  return `${[head, ...parts.map(({ name, text }) => `${line}\n${name}\n${line}\n\n${text}`)].join('\n\n')}\n`;
}

const line = '='.repeat(100);

function textOf({ name, version, licence, author, texts }: PackageInside, all: readonly PackageInside[]): string {
  if (texts.length > 0) return texts.join('\n\n');
  const general = licence === 'MIT' ? mit(author) : licence === 'Apache-2.0' ? apache(all) : undefined;
  if (!general) throw new Error(`${name}@${version} (${licence}) holds no licence text, and none is known for it.`);
  return `The package holds no licence text. It says "${licence}", by ${author}; this is that licence:\n\n${general}`;
}

/** Eleven kilobytes that are the same everywhere: another package's copy. */
const apache = (all: readonly PackageInside[]): string | undefined =>
  all.flatMap(({ texts }) => texts).find((text) => /^\s*Apache License\s+Version 2\.0/.test(text));

const mit = (author: string): string => `Copyright (c) ${author}

Permission is hereby granted, free of charge, to any person obtaining a copy of this software and associated documentation files (the
"Software"), to deal in the Software without restriction, including without limitation the rights to use, copy, modify, merge, publish,
distribute, sublicense, and/or sell copies of the Software, and to permit persons to whom the Software is furnished to do so, subject to
the following conditions:

The above copyright notice and this permission notice shall be included in all copies or substantial portions of the Software.

THE SOFTWARE IS PROVIDED "AS IS", WITHOUT WARRANTY OF ANY KIND, EXPRESS OR IMPLIED, INCLUDING BUT NOT LIMITED TO THE WARRANTIES OF
MERCHANTABILITY, FITNESS FOR A PARTICULAR PURPOSE AND NONINFRINGEMENT. IN NO EVENT SHALL THE AUTHORS OR COPYRIGHT HOLDERS BE LIABLE FOR
ANY CLAIM, DAMAGES OR OTHER LIABILITY, WHETHER IN AN ACTION OF CONTRACT, TORT OR OTHERWISE, ARISING FROM, OUT OF OR IN CONNECTION WITH
THE SOFTWARE OR THE USE OR OTHER DEALINGS IN THE SOFTWARE.`;
