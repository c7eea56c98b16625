import type { Messages } from '../i18n.ts';

export const agents: Messages['agents'] = {
  title: 'KI-Mitgründer',
  lead: 'Sechs Fachleute für dein Unternehmen. Jede Antwort nutzt deinen eigenen Schlüssel, wo er funktioniert, sonst den der Plattform innerhalb deiner Limits.',
  leadPlatform: 'Sechs Fachleute für dein Unternehmen. Antworten nutzen die Schlüssel der Plattform innerhalb deiner Limits.',
  ask: 'Fragen',
  askNamed: '{name} fragen',
  startWith: 'Für den Anfang',
  locked: 'Premium und Lifetime',
  lockedNamed: '{name} gehört zu Premium und Lifetime.',
  lockedMeans: 'Mit Premium oder Lifetime hast du alle sechs.',
  plans: 'Tarife ansehen',
  none: 'Diesen Agenten gibt es nicht.',
  all: 'Alle Agenten',
};
