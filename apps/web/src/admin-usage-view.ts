/** What Administration's page of usage shows, as its address says it: as on the page of one's own, and by plan, with users in pages. */
import { peopleSorts, tierNames } from '@synthstack/core';
import { addDays, dayOf, oneOf, queryOf, splits, type UsageView, viewOf } from './usage-view.ts';

export type PeopleSort = (typeof peopleSorts)[number];
export interface AdminUsageView extends UsageView {
  sort: PeopleSort;
  /** Of the users: 1 is the first. */
  page: number;
}
export const adminSplits = [...splits, 'tier'] as const;
export const peopleAPage = 25;
const mostPages = 400;

type Query = Record<string, unknown>;

export function adminViewOf(query: Query): AdminUsageView {
  const view = viewOf(query);
  const tier = oneOf(tierNames, query.plan);
  const page = /^[1-9]\d{0,2}$/.test(String(query.page)) ? Math.min(Number(query.page), mostPages) : 1;
  return {
    ...view,
    filters: { ...view.filters, ...(tier && { tier }) },
    split: oneOf(adminSplits, query.by) ?? 'model',
    sort: oneOf(peopleSorts, query.most) ?? 'cost',
    page,
  };
}

export function adminQueryOf({ sort, page, ...view }: AdminUsageView): Record<string, string> {
  const { tier } = view.filters;
  return { ...queryOf(view), ...(tier && { plan: tier }), ...(sort !== 'cost' && { most: sort }), ...(page > 1 && { page: String(page) }) };
}

/** Users are summed in whole days of UTC: those that have the dates of the range; of the last 24 hours the two that they touch. */
export function peopleDaysOf({ range, days }: Pick<UsageView, 'range' | 'days'>, nowMs: number): { first: string; last: string } {
  if (days) return days;
  const last = dayOf(nowMs, 'UTC');
  return { first: addDays(last, 1 - { '24h': 2, '7d': 7, '30d': 30, '90d': 90, custom: 30 }[range]), last };
}
