import type { keyHistory as english } from '../en/key-history.ts';

const messages: typeof english = {
  title: 'Verlauf deiner Schlüssel',
  back: 'API-Schlüssel',
  lead: 'Wofür deine Schlüssel benutzt wurden und was mit ihnen geschah.',
  which: 'Anbieter',
  all: 'Alle',
  uses: 'Für Anfragen benutzt',
  usesLead:
    'Wie oft ein Schlüssel für eine Anfrage geöffnet wurde, nach Tag und Zugangstoken, auch wenn der Anbieter ihn abgelehnt hat. Bleibt 90 Tage.',
  noUses: 'In diesen Tagen wurde kein Schlüssel benutzt.',
  today: 'Heute',
  noToken: 'Du selbst, angemeldet',
  goneToken: 'Ein widerrufenes Token',
  goneKey: '(früherer Schlüssel)',
  last: 'zuletzt um {time}',
  times: 'einmal | {n}-mal',
  events: 'Was geschah',
  eventsLead:
    'Dein Teil des Prüfprotokolls dieses Servers. Einträge kommen nur hinzu, und deine Administration kann prüfen, dass keiner verändert wurde.',
  noEvents: 'Mit deinen Schlüsseln ist noch nichts geschehen.',
  kinds: {
    saved: 'Schlüssel gespeichert',
    replaced: 'Schlüssel durch diesen ersetzt',
    tested: 'Schlüssel getestet',
    switched: 'Schlüssel geändert',
    removed: 'Schlüssel entfernt',
    restored: 'Früheren Schlüssel wiederhergestellt',
    forgotten: 'Früheren Schlüssel endgültig gelöscht',
    expired: 'Das Datum des Schlüssels ist vorbei',
  },
  on: 'eingeschaltet',
  off: 'ausgeschaltet',
  fallbackOn: 'Ausweichen eingeschaltet',
  fallbackOff: 'Ausweichen ausgeschaltet',
  end: 'zu benutzen bis {date}',
  noEnd: 'ohne Enddatum',
  by: { you: 'von dir', server: 'vom Server', administrator: 'von der Administration' },
  newer: 'Neuere',
  older: 'Ältere',
};

const sentences: Readonly<Record<string, string>> = {};

export const de = { messages, sentences };
