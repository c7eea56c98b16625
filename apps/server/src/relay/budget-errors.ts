/** What the caller hears where a hard budget has no room for a request: what it may cost, what is left, and what to do. */
import { AppError, toUsd } from '@synthstack/core';
import type { Refused } from '../budgets.ts';
import type { Provider } from '../providers/provider.ts';
import type { AiRequest } from './request.ts';

/** @param amountNanoUsd  what the request may cost at most */
export function tooDear({ provider, route }: AiRequest, amountNanoUsd: number, { limitNanoUsd, leftNanoUsd, resetsAt }: Refused): AppError {
  const [field] = route.outputCap ?? [];
  const lower = field && leftNanoUsd > 0 ? `Set a lower ${field}, raise` : 'Raise';
  return new AppError(
    'budget_reached',
    `This request may cost up to ${dollars(amountNanoUsd)}, and ${dollars(leftNanoUsd)} of the monthly budget of your ${provider.name} key ` +
      `(${dollars(limitNanoUsd)}) is left. ${lower} the budget in Settings > API Keys, or wait until ${resetsAt.toISOString().slice(0, 10)} (UTC).`,
  );
}

export function unpriced({ name }: Pick<Provider, 'name'>, model: string | null): AppError {
  const which = model === null ? 'A model that is not named' : `The model "${model.slice(0, 100).replaceAll(/[^\x20-\x7e]|"/g, '?')}"`;
  return new AppError(
    'budget_reached',
    `${which} has no known price, so this request cannot be held to the monthly budget of your ${name} key. Use a model with a price ` +
      '(GET /api/v1/api-keys/providers lists them), let the budget only tell you (Settings > API Keys), or ask an administrator to set its price.',
  );
}

/** Cents, and below a cent what is there. */
function dollars(nanoUsd: number): string {
  const usd = toUsd(nanoUsd);
  return `$${usd >= 1 || usd === 0 ? usd.toFixed(2) : usd.toPrecision(2)}`;
}
