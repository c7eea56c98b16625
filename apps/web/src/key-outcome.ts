/** What came of testing a stored key, as its card says it. */
import type { KeyStatus, Verdict } from '@synthstack/core';
import { formatCount } from './format.ts';
import { fromServer, t } from './i18n/i18n.ts';

export interface Outcome {
  tone: 'good' | 'bad' | 'warn' | 'info';
  text: string;
}

/**
 * @param before  the key's status until now
 * @param shown  the sentence with which the card explains the key's state, if it does
 */
export function outcomeOfTest({ valid, status, message, latencyMs }: Verdict, before: KeyStatus | null, shown: string | null): Outcome {
  // The card says the whole sentence where it explains the key's state: once is enough.
  const form = shown !== message ? 'keys.tested' : status === before ? 'keys.testedSame' : 'keys.testedShort';
  const text = t(form, { message: fromServer(message), state: t(`keys.verdicts.${status}`), ms: formatCount(latencyMs) });
  return { tone: valid ? 'good' : status === 'invalid' ? 'bad' : 'warn', text };
}
