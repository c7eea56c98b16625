/** German: people are addressed as "du", buttons are infinitives. */
import type { Translation } from '../i18n.ts';
import { account } from './account.ts';
import { agents } from './agents.ts';
import { budgets } from './budgets.ts';
import { common } from './common.ts';
import { keys } from './keys.ts';
import { plan } from './plan.ts';
import { security } from './security.ts';
import { sentences } from './server.ts';
import { tokens } from './tokens.ts';

export const de: Translation = {
  messages: { account, agents, budgets, common, keys, plan, security, tokens },
  sentences,
};
