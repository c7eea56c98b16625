import { readFile, stat } from 'node:fs/promises';
import { type ModelPrice, toAppError, usdPerMillion } from '@synthstack/core';
import type { PriceChange } from '../prices.ts';
import { type Command, json, wrongUsage } from './cli.ts';
import { withModules } from './with-modules.ts';

/** More than any price list has. */
const maxBytes = 16 * 1_048_576;

export const pricesImport: Command = {
  summary: 'Take over a price list.',
  usage: 'prices import FILE [--json]',
  options: { json },
  files: 1,
  async run({ values, files, out, say }) {
    const [file] = files;
    if (file === undefined) throw wrongUsage('FILE: it is missing.');
    const text = await readList(file);
    // Loaded when needed: help and wrong usage should not wait for it.
    const { readPriceList } = await import('../prices-list.ts');
    let list: ReturnType<typeof readPriceList>;
    try {
      list = readPriceList(text, file);
    } catch (error) {
      say(toAppError(error).message);
      return 1;
    }
    const changes = await withModules(({ prices }) => prices.take(list, { source: 'import', actor: 'cli' }));
    if (values.json) out(JSON.stringify({ changes: changes.map(changeView) }, null, 2));
    else for (const change of changes) out(`${change.provider}\t${change.model}\t${said(change.before)}\t${said(change.after)}`);
    say(
      changes.length > 0
        ? `${changes.length} ${changes.length === 1 ? 'model has' : 'models have'} another price now.`
        : 'Nothing changed.',
    );
    return 0;
  },
};

export const pricesList: Command = {
  summary: "List the prices that are not the release's, and the models that wait for one.",
  usage: 'prices list [--json]',
  options: { json },
  async run({ values, out }) {
    const shown = await withModules(listed);
    if (values.json) out(JSON.stringify({ prices: shown }, null, 2));
    else
      for (const { provider, model, source, price, waitingRequests } of shown) {
        const cost = price ? `${price.inputUsdPerMillion} / ${price.outputUsdPerMillion}` : 'unknown';
        out(`${provider}\t${model}\t${cost}\t${source ?? ''}\t${waitingRequests > 0 ? `${waitingRequests} waiting` : ''}`.trimEnd());
      }
    return 0;
  },
};

async function listed({ db, prices, accounts, clock }: Parameters<Parameters<typeof withModules>[0]>[0]) {
  const [{ priceViews }, { createRepricing }] = await Promise.all([import('../prices-views.ts'), import('../meter-repricing.ts')]);
  await prices.fresh();
  const silent = { info: () => undefined, error: () => undefined };
  const { waiting } = createRepricing({ db, price: prices.price, nowMs: clock.now, log: silent });
  const all = await priceViews({ book: prices, waiting, namesOf: accounts.namesOf, nowMs: clock.now() });
  return all.filter(({ overrides, waitingRequests }) => overrides.length > 0 || waitingRequests > 0);
}

/** @throws AppError `invalid_input`: there is no such file, or it is no list of prices by its size */
async function readList(file: string): Promise<string> {
  try {
    if ((await stat(file)).size <= maxBytes) return await readFile(file, 'utf8');
  } catch {
    throw wrongUsage(`FILE: ${file} cannot be read.`);
  }
  throw wrongUsage(`FILE: ${file} is larger than ${maxBytes / 1_048_576} MB.`);
}

const said = (price: ModelPrice | null): string => (price ? `${usdPerMillion(price.input)} / ${usdPerMillion(price.output)}` : 'unknown');

const changeView = ({ provider, model, before, after }: PriceChange) => ({ provider, model, before: both(before), after: both(after) });
const both = (price: ModelPrice | null) =>
  price && { inputUsdPerMillion: usdPerMillion(price.input), outputUsdPerMillion: usdPerMillion(price.output) };
