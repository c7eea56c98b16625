/** What administrators tell everybody: plain text, never HTML. */
import { z } from 'zod';

export const announcementKinds = ['info', 'warning'] as const;
export type AnnouncementKind = (typeof announcementKinds)[number];

export const mostAnnouncementText = 500;
const Said = z
  .string()
  .trim()
  .min(1, 'Say something here.')
  .max(mostAnnouncementText, `Use at most ${mostAnnouncementText} characters.`)
  .regex(/^[^\p{Cc}]*$/u, 'Use letters, digits and signs only: no line ends or control characters.');

export const announcementLinkRule = 'A link begins with https:// or, to a page of this server, with a single slash.';

/** Where people are sent: another site by https, or a page of this server. Browsers read `/\` and `//` as another site. */
function isLink(link: string): boolean {
  if (/^\/(?![/\\])[^\s\p{Cc}\\]*$/u.test(link)) return true;
  const url = URL.parse(link);
  return url?.protocol === 'https:' && url.username === '' && url.password === '' && /^https:\/\/[^\s\p{Cc}]+$/u.test(link);
}
export const AnnouncementLink = z.string().trim().max(500, 'Use at most 500 characters.').refine(isLink, announcementLinkRule);

export const NewAnnouncement = z.strictObject({
  kind: z.enum(announcementKinds),
  english: Said,
  german: Said.nullable().optional(),
  link: AnnouncementLink.nullable().optional(),
  until: z.iso.datetime({ offset: true, error: 'Name an instant such as 2026-12-24T18:00:00Z.' }).nullable().optional(),
});
export type NewAnnouncement = z.infer<typeof NewAnnouncement>;

export const AnnouncementRef = z.strictObject({ id: z.uuid('This is not the id of an announcement.') });
export type AnnouncementRef = z.infer<typeof AnnouncementRef>;

/** As everybody gets it. */
export const AnnouncementView = z.object({
  id: z.uuid(),
  kind: z.enum(announcementKinds),
  english: z.string(),
  german: z.string().nullable().describe('null: the English text is shown.'),
  link: z.string().nullable(),
  createdAt: z.iso.datetime(),
});
export type AnnouncementView = z.infer<typeof AnnouncementView>;
export const AnnouncementList = z.object({ announcements: z.array(AnnouncementView) });

/** As administrators see it. */
export const AdminAnnouncement = AnnouncementView.extend({
  until: z.iso.datetime().nullable().describe('null: until it is withdrawn.'),
  withdrawnAt: z.iso.datetime().nullable(),
  state: z.enum(['shown', 'over', 'withdrawn']),
  by: z.string().nullable().describe('Who wrote it; null: an account that is gone.'),
  closedBy: z.int().describe('How many have closed it; 10,000 stands for more.'),
});
export type AdminAnnouncement = z.infer<typeof AdminAnnouncement>;
export const OneAnnouncement = z.object({ announcement: AdminAnnouncement });
export const AnnouncementQuery = z.strictObject({
  cursor: z
    .string()
    .regex(/^\d{1,15}_[0-9a-f-]{36}$/, "cursor: the last answer's nextCursor, as it was.")
    .optional(),
});
export type AnnouncementQuery = z.infer<typeof AnnouncementQuery>;
export const AdminAnnouncements = z.object({ announcements: z.array(AdminAnnouncement), nextCursor: z.string().nullable() });
export type AdminAnnouncements = z.infer<typeof AdminAnnouncements>;
