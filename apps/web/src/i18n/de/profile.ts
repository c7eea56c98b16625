import type { Messages } from '../i18n.ts';

export const profile: Messages['profile'] = { title: 'Profil und Sicherheit' };
