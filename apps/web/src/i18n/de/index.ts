/** German: people are addressed as "du", buttons are infinitives. */
import type { Messages } from '../i18n.ts';
import { common } from './common.ts';
import { profile } from './profile.ts';
import { usage } from './usage.ts';

export const de: Messages = { common, profile, usage };
