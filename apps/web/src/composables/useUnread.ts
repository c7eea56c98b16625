import { useQuery } from '@pinia/colada';
import { api } from '../api.ts';
import { ear } from '../ear.ts';
import { useLive } from './useLive.ts';

/** How many notices are not read, as it changes; and with them the lists of notices that are shown. */
export function useUnread() {
  const { data } = useQuery({ key: ['notices', 'unread'], query: () => api.notices.unread.query() });
  useLive((hearing) => ear.notices.live.subscribe(undefined, hearing), [['notices']]);
  return { unread: data };
}
