/** The browser-safe door: contracts, errors, money, tiers. What needs Node has doors of its own (secret, keyring, db). */
export * from './contracts/accounts.ts';
export * from './contracts/agents.ts';
export * from './contracts/announcements.ts';
export * from './contracts/audit.ts';
export * from './contracts/bounds.ts';
export * from './contracts/health.ts';
export * from './contracts/keys.ts';
export * from './contracts/notices.ts';
export * from './contracts/people.ts';
export * from './contracts/plans.ts';
export * from './contracts/prices.ts';
export * from './contracts/tokens.ts';
export * from './contracts/usage.ts';
export * from './device.ts';
export * from './errors.ts';
export * from './money.ts';
export * from './tiers.ts';
