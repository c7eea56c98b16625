import type { Texts } from '../i18n.ts';

export const profile: Texts['profile'] = {
  title: 'Profil und Sicherheit',
  lead: 'Wer du hier bist, wie die Seiten für dich aussehen und wer hineinkommt.',
  person: {
    title: 'Profil',
    emailMeans: 'Mit dieser Adresse meldest du dich an.',
  },
  display: {
    title: 'Sprache und Darstellung',
    kept: 'Sprache und Zeitzone gehören zu deinem Konto; ein Browser, in dem du eine andere Sprache gewählt hast, behält diese. Die Darstellung gilt nur für diesen Browser.',
    onlyHere: 'Dieser Browser merkt sich die Sprache, dein Konto konnte es nicht: {reason}',
  },
  zone: {
    label: 'Zeitzone',
    asBrowser: 'Wie dieser Browser ({zone})',
    now: 'Dort ist es jetzt {time}. Tippe, um nach einer großen Stadt in der Nähe zu suchen.',
    none: 'Keine Zeitzone mit diesem Namen. Versuche es mit einer großen Stadt in der Nähe oder dem Kontinent.',
  },
  password: {
    title: 'Passwort',
    none: 'Du meldest dich bei deiner Organisation an, deshalb gibt es hier kein Passwort zu ändern. Auch einen zweiten Faktor und Passkeys richtest du dort ein.',
    lead: 'Ein neues Passwort meldet dich überall ab, nur hier nicht. Zugangstokens gelten weiter: Du widerrufst sie auf ihrer eigenen Seite.',
    current: 'Jetziges Passwort',
    fresh: 'Neues Passwort',
    noCurrent: 'Gib dein jetziges Passwort ein.',
    submit: 'Passwort ändern',
    done: 'Dein Passwort ist geändert.',
    ended: 'Es gab keine andere Sitzung. | {n} andere Sitzung wurde beendet. | {n} andere Sitzungen wurden beendet.',
    tooMany: 'Zu viele Versuche. Du kannst es {when} noch einmal versuchen.',
  },
  sessions: {
    title: 'Wo du angemeldet bist',
    lead: 'Eine Sitzung endet von selbst, wenn darin 7 Tage lang keine Seite geöffnet wurde.',
    device: '{browser} auf {system}',
    unnamed: 'Ein Programm ohne Namen',
    noAddress: 'Unbekannte Adresse',
    current: 'Diese Sitzung',
    since: 'angemeldet {when}',
    seen: 'zuletzt gesehen {when}',
    end: 'Beenden',
    endTitle: 'Diese Sitzung beenden?',
    endMeans:
      'Was dort geöffnet ist, führt beim nächsten Schritt zur Anmeldung. Wer dein Passwort kennt, kann sich wieder anmelden: Wenn du das nicht warst, ändere es auch.',
    ended: '{name} ist abgemeldet.',
    endAll: 'Alle anderen beenden',
    endAllTitle: 'Die andere Sitzung beenden? | {n} andere Sitzung beenden? | {n} andere Sitzungen beenden?',
    allEnded: 'Es gab keine andere Sitzung mehr. | {n} Sitzung ist beendet. | {n} Sitzungen sind beendet.',
    more: '{n} ältere Sitzung wird nicht gezeigt. | {n} ältere Sitzungen werden nicht gezeigt.',
  },
  data: {
    title: 'Deine Daten',
    exportMeans:
      'Alles, was dieser Server über dich weiß, als eine Datei: dein Konto, Schlüssel und Tokens (ohne das, was sie öffnet), Nutzung, Unterhaltungen, Mitteilungen und was an deinem Konto geschehen ist.',
    export: 'Meine Daten herunterladen',
    removeMeans: 'Wenn du dein Konto löschst, wird all das mit gelöscht.',
    remove: 'Mein Konto löschen',
    removeTitle: 'Dein Konto löschen?',
    final: 'Das lässt sich nicht rückgängig machen. Programme, die deine Zugangstokens benutzen, funktionieren sofort nicht mehr.',
    goes: 'Gelöscht werden dein Konto, deine Schlüssel und Tokens, deine Unterhaltungen, deine Mitteilungen und jede Anfrage, die du gestellt hast.',
    stays:
      'Was bleibt: die Summen aller, in den Büchern des Betreibers, und das Protokoll der Änderungen, unter einer Nummer, die niemandem mehr gehört. Sicherungen behalten, was in ihnen steht, bis sie ersetzt werden.',
    removeSubmit: 'Endgültig löschen',
  },
};
