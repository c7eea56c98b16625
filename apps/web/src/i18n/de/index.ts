/** German: people are addressed as "du", buttons are infinitives. */
import type { Translation } from '../i18n.ts';
import { account } from './account.ts';
import { agents } from './agents.ts';
import { budgets } from './budgets.ts';
import { chat } from './chat.ts';
import { common } from './common.ts';
import { keys } from './keys.ts';
import { notices } from './notices.ts';
import { plan } from './plan.ts';
import { profile } from './profile.ts';
import { security } from './security.ts';
import { sentences } from './server.ts';
import { tokens } from './tokens.ts';
import { usage } from './usage.ts';

export const de: Translation = {
  messages: { account, agents, budgets, chat, common, keys, notices, plan, profile, security, tokens, usage },
  sentences,
};
