import { migration as m0 } from './0000_spine.ts';
import { migration as m1 } from './0001_unpriced.ts';
import { migration as m2 } from './0002_agents.ts';
import { migration as m3 } from './0003_mail.ts';
import { migration as m4 } from './0004_billing.ts';
import { migration as m5 } from './0005_prices.ts';
import { migration as m6 } from './0006_second_factors.ts';
import { migration as m7 } from './0007_rotation.ts';
import { migration as m8 } from './0008_expiry.ts';
import { migration as m9 } from './0009_people.ts';
import { migration as m10 } from './0010_platform.ts';
import { migration as m11 } from './0011_budgets.ts';

export const migrations = [m0, m1, m2, m3, m4, m5, m6, m7, m8, m9, m10, m11];
