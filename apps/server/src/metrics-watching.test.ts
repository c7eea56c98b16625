/** The dashboard and the alert rules in deploy/ against what /metrics really says. */
import { globSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { errorForms } from '@synthstack/core';
import { expect, test } from 'vitest';
import { testApp } from '../test/app.ts';
import { type ExposedFamily, parseExposition } from '../test/exposition.ts';

const deploy = join(import.meta.dirname, '../../../deploy');
const files = ['grafana-dashboard.json', 'prometheus-alerts.yml'];

function expressionsIn(file: string): string[] {
  const text = readFileSync(join(deploy, file), 'utf8');
  if (file.endsWith('.yml')) return [...text.matchAll(/^ +expr: (.+)$/gm)].map(([, expr = '']) => expr);
  const { panels } = JSON.parse(text) as { panels: { targets?: { expr: string }[] }[] };
  return panels.flatMap(({ targets = [] }) => targets.map(({ expr }) => expr));
}

/** What of a query does not fit what is exposed. */
function wrongIn(expr: string, families: ReadonlyMap<string, ExposedFamily>): string[] {
  const names = expr.match(/\b(byok|process|nodejs)_\w+/g) ?? [];
  const unknown = names.filter((name) => {
    const part = /^(.*)_(bucket|sum|count)$/.exec(name);
    return !families.has(name) && families.get(part?.[1] ?? '')?.type !== 'histogram';
  });
  const codes = [...expr.matchAll(/\bcode=~?"([^"]+)"/g)].flatMap(([, values = '']) => values.split('|'));
  return [...unknown, ...codes.filter((code) => !(code in errorForms))];
}

test('every series and every code that the dashboard and the alerts name is there', async () => {
  await using app = await testApp();
  const families = parseExposition(await (await app.fetch(null, '/metrics')).text());
  for (const file of files) {
    const expressions = expressionsIn(file);
    expect(expressions.length, file).toBeGreaterThan(10);
    expect(
      expressions.flatMap((expr) => wrongIn(expr, families)),
      file,
    ).toEqual([]);
  }
  const planted =
    'rate(byok_requests_total[5m]) / byok_gone_total + byok_requests_in_flight_bucket + byok_errors_total{code=~"internal|odd"}';
  expect(wrongIn(planted, families)).toEqual(['byok_gone_total', 'byok_requests_in_flight_bucket', 'odd']);
});

test('every series of our own is on the dashboard', async () => {
  await using app = await testApp();
  const families = parseExposition(await (await app.fetch(null, '/metrics')).text());
  const shown = expressionsIn('grafana-dashboard.json').join('\n');
  const own = [...families.keys()].filter((name) => name.startsWith('byok_'));
  expect(own.length).toBeGreaterThan(12);
  expect(own.filter((name) => !new RegExp(`\\b${name}(_bucket)?\\b`).test(shown))).toEqual([]);
});

test('what is delivered for operators names no other place than the guide does', () => {
  for (const file of globSync('*', { cwd: deploy })) {
    const hosts = [...readFileSync(join(deploy, file), 'utf8').matchAll(/\b[\w-]+(?:\.[\w-]+)+\.(?:com|io|org|dev)\b/g)].map(
      ([host]) => host,
    );
    expect(
      hosts.filter((host) => host !== 'byok.example.com'),
      file,
    ).toEqual([]);
  }
});
