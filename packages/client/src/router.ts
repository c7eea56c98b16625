/** What the server's procedures take and give. In the package it is written out (scripts/router-types.ts), so that it needs nothing of the server. */
export type { AppRouter } from '@synthstack/server/router';
