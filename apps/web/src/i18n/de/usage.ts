import type { Messages } from '../i18n.ts';

export const usage: Messages['usage'] = {
  title: 'Nutzung',
  unpriced: '{n} Anfrage mit unbekanntem Preis | {n} Anfragen mit unbekanntem Preis',
  unmeasured: '{n} Anfrage unbekannter Größe | {n} Anfragen unbekannter Größe',
};
