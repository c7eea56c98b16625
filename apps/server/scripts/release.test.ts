import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { expect, test } from 'vitest';
import { billOfMaterials, integrityIn } from './bill-of-materials.ts';
import { isAllowed, thirdPartyLicences } from './licences.ts';
import { packagesInside } from './packages-inside.ts';

/** Installed packages, each with its manifest and texts. */
function installed(packages: Record<string, { manifest: object; texts?: Record<string, string> }>) {
  const folder = mkdtempSync(join(tmpdir(), 'byok-packages-'));
  for (const [name, { manifest, texts = {} }] of Object.entries(packages)) {
    const files = { 'package.json': JSON.stringify(manifest), ...texts };
    for (const [file, text] of Object.entries(files)) {
      const path = join(folder, 'node_modules', name, file);
      mkdirSync(dirname(path), { recursive: true });
      writeFileSync(path, text);
    }
  }
  return {
    module: (path: string) => join(folder, 'node_modules', path),
    [Symbol.dispose]: () => rmSync(folder, { recursive: true }),
  };
}

const mit = { version: '1.2.3', license: 'MIT' };

test('packages are found by the files taken from them, once each, and with their texts', () => {
  using stage = installed({
    '@b/two': { manifest: { ...mit, name: '@b/two', author: { name: 'Bo' } } },
    one: { manifest: { ...mit, name: 'one' }, texts: { LICENSE: 'You may.\n', 'notice.md': 'By me.', 'index.js': '' } },
  });
  const modules = [
    stage.module('one/index.js'),
    stage.module('one/lib/more.js?vue&type=style'),
    stage.module('@b/two/x.js'),
    '\0rolldown/runtime.js',
    '/ours/src/main.ts',
  ];
  expect(packagesInside(modules)).toEqual([
    { name: '@b/two', version: '1.2.3', licence: 'MIT', author: 'Bo', texts: [] },
    { name: 'one', version: '1.2.3', licence: 'MIT', author: 'the authors of one', texts: ['You may.', 'By me.'] },
  ]);
});

test('a licence that is not on the list ends the build, and every such package is named', () => {
  using stage = installed({
    fine: { manifest: { ...mit, name: 'fine' } },
    strict: { manifest: { name: 'strict', version: '1.0.0', license: 'GPL-3.0-only' } },
    silent: { manifest: { name: 'silent', version: '2.0.0' } },
  });
  const modules = ['fine', 'strict', 'silent'].map((name) => stage.module(`${name}/index.js`));
  expect(() => packagesInside(modules)).toThrow(/silent@2.0.0: none is named\n {2}strict@1.0.0: GPL-3.0-only$/);
});

test.each([
  ['MIT', true],
  ['(MPL-2.0 OR Apache-2.0)', true],
  ['MIT AND (GPL-2.0-only OR ISC)', true],
  ['MIT AND GPL-2.0-only', false],
  ['AGPL-3.0-only OR GPL-3.0-only', false],
  ['GPL-2.0-only AND MIT OR LGPL-3.0-only', false],
  ['UNLICENSED', false],
  ['SEE LICENSE IN LICENSE.md', false],
  ['MIT ISC', false],
  ['(MIT', false],
  ['', false],
])('%j is allowed: %s', (expression, allowed) => {
  expect(isAllowed(expression)).toBe(allowed);
});

test('every package has its licence in the file, if need be in general words, or there is no file', () => {
  const plain = { version: '1.0.0', author: 'Ada', texts: [] };
  const apache = { ...plain, name: 'a', licence: 'Apache-2.0' };
  const text = thirdPartyLicences(
    [
      { ...plain, name: 'm', licence: 'MIT' },
      { ...apache, texts: ['Apache License\nVersion 2.0'] },
      { ...apache, name: 'b' },
    ],
    [{ name: 'Node.js', text: 'Node’s own' }],
  );
  for (const part of ['4 in number', 'Node’s own', 'm 1.0.0 (MIT)', 'Copyright (c) Ada', 'b 1.0.0 (Apache-2.0)'])
    expect(text).toContain(part);
  expect(text.split('Version 2.0')).toHaveLength(3);
  expect(() => thirdPartyLicences([{ ...plain, name: 'i', licence: 'ISC' }], [])).toThrow('i@1.0.0 (ISC) holds no licence text');
});

test('the list of what is inside has the digests of the lock file, and is the same for the same contents', () => {
  const lock = readFileSync(join(import.meta.dirname, '../../../pnpm-lock.yaml'), 'utf8');
  const integrity = integrityIn(lock);
  expect(integrity.size).toBeGreaterThan(300);
  const inside = {
    program: { version: '1.0.0', licence: 'MIT', sha256: 'ab' },
    packages: [{ name: '@trpc/server', version: '11.25.2', licence: 'MIT', author: '', texts: [] }],
    integrity,
    node: { node: '24.0.0', openssl: '3.5.8', nghttp3: '' },
    sqliteVersion: '3.53.0',
  };
  const bill = JSON.parse(billOfMaterials(inside));
  expect(bill).toMatchObject({
    bomFormat: 'CycloneDX',
    specVersion: '1.6',
    components: [
      { name: 'node', components: [{ name: 'openssl', version: '3.5.8' }] },
      { name: 'sqlite', version: '3.53.0' },
      { purl: 'pkg:npm/%40trpc/server@11.25.2', hashes: [{ alg: 'SHA-512', content: expect.stringMatching(/^[0-9a-f]{128}$/) }] },
    ],
  });
  expect(bill.serialNumber).toMatch(/^urn:uuid:[0-9a-f]{8}-[0-9a-f]{4}-8[0-9a-f]{3}-a[0-9a-f]{3}-[0-9a-f]{12}$/);
  expect(billOfMaterials(inside)).toBe(billOfMaterials({ ...inside }));
  expect(JSON.parse(billOfMaterials({ ...inside, sqliteVersion: '3.54.0' })).serialNumber).not.toBe(bill.serialNumber);
  const unlocked = [{ name: 'x', version: '1.0.0', licence: 'MIT', author: '', texts: [] }];
  expect(() => billOfMaterials({ ...inside, packages: unlocked })).toThrow('The lock file does not say what x@1.0.0 hashes to.');
});
