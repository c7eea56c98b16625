/** English. Each file holds the texts of one part of the pages; `de/` has the same files, and the compiler compares them. */
import { account } from './account.ts';
import { agents } from './agents.ts';
import { budgets } from './budgets.ts';
import { common } from './common.ts';
import { keys } from './keys.ts';
import { plan } from './plan.ts';
import { security } from './security.ts';
import { tokens } from './tokens.ts';

export const en = { account, agents, budgets, common, keys, plan, security, tokens };
