import type { Messages } from '../i18n.ts';

export const account: Messages['account'] = {
  email: 'E-Mail',
  password: 'Passwort',
  name: 'Dein Name',
  passwordHint: 'Mindestens 12 Zeichen. Ein paar Wörter hintereinander lassen sich leicht merken.',
  noName: 'Gib deinen Namen ein.',
  noEmail: 'Gib deine E-Mail-Adresse ein.',
  noPassword: 'Gib dein Passwort ein.',
  create: 'Konto anlegen',
  signIn: {
    title: 'Anmelden',
    ended: 'Deine Sitzung ist abgelaufen. Melde dich wieder an und mach weiter, wo du warst.',
    keyLost: 'Der Schlüssel wurde nicht gespeichert: Füge ihn noch einmal ein.',
    needsSetUp:
      'Dieser Server hat noch kein Administrationskonto. Richtest du ihn ein? Dann öffne den einmaligen Link, den der Server in seiner Konsole ausgegeben hat.',
    elsewhere: 'Mit deiner Organisation anmelden',
    or: 'Oder mit dem Konto, das du hier hast:',
    administrators: 'Für die Administration: mit Passwort anmelden',
    disabled: 'Dieses Konto ist gesperrt. Wende dich an die Administration dieses Servers.',
    away: 'Der Anmeldedienst ist nicht erreichbar. Bitte versuche es gleich noch einmal.',
    didNotWork: 'Die Anmeldung hat nicht geklappt. Bitte versuche es noch einmal.',
    noAccount: 'Noch kein Konto?',
  },
  signUp: { title: 'Registrieren', haveOne: 'Du hast schon ein Konto?' },
  setUp: {
    title: 'Willkommen',
    shortTitle: 'Einrichten',
    lead: 'Dieser Server hat noch kein Administrationskonto. Lege es jetzt an: Es gehört dir, und du verwaltest damit den Server.',
    noToken: 'Diese Seite braucht den einmaligen Link, den der Server beim Start in seiner Konsole ausgegeben hat. Öffne den ganzen Link.',
    done: 'Dieser Server ist schon eingerichtet, deshalb gilt sein Einrichtungslink nicht mehr.',
    home: 'Zu deinen API-Schlüsseln',
  },
};
