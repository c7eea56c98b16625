/** The browser-safe door: contracts, errors, money, tiers. What needs Node has doors of its own (secret, keyring, db). */
export * from './contracts/accounts.ts';
export * from './contracts/admin-limits.ts';
export * from './contracts/admin-platform-keys.ts';
export * from './contracts/agents.ts';
export * from './contracts/bounds.ts';
export * from './contracts/keys.ts';
export * from './contracts/notices.ts';
export * from './contracts/plans.ts';
export * from './contracts/prices.ts';
export * from './contracts/tokens.ts';
export * from './contracts/usage.ts';
export * from './device.ts';
export * from './errors.ts';
export * from './money.ts';
export * from './tiers.ts';
