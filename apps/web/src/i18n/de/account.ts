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
    noAccount: 'Noch kein Konto?',
    forgot: 'Passwort vergessen?',
    second: 'Dein Konto hat einen zweiten Faktor. Öffne deine Authentifizierungs-App.',
    startOver: 'Von vorn beginnen',
    passkey: 'Mit einem Passkey anmelden',
    noPasskey: 'Es wurde kein Passkey verwendet. Versuche es noch einmal, oder melde dich mit deinem Passwort an.',
  },
  signUp: {
    title: 'Registrieren',
    haveOne: 'Du hast schon ein Konto?',
    confirm:
      'Dein Konto ist angelegt. Wir haben einen Link an {email} geschickt: Öffne ihn, um deine Adresse zu bestätigen, und melde dich dann an.',
  },
  forgot: {
    title: 'Passwort vergessen?',
    lead: 'Gib die Adresse deines Kontos ein. Du bekommst dorthin einen Link, mit dem du ein neues Passwort wählst.',
    submit: 'Link senden',
    done: 'Wenn es ein Konto mit {email} gibt, ist ein Link unterwegs. Er gilt einmal, eine Stunde lang. Sieh auch im Spam-Ordner nach.',
    noMail: 'Dieser Server sendet keine E-Mails. Bitte seine Administration um einen Link zu einem neuen Passwort.',
  },
  reset: {
    title: 'Neues Passwort wählen',
    lead: 'Mit dem neuen Passwort wirst du überall abgemeldet.',
    submit: 'Neues Passwort speichern',
    done: 'Dein neues Passwort ist gespeichert. Du bist überall abgemeldet: Melde dich damit an.',
    noToken: 'Diese Seite braucht den Link aus der E-Mail. Öffne den ganzen Link, oder fordere einen neuen an.',
    another: 'Neuen Link anfordern',
  },
  verify: {
    title: 'E-Mail-Adresse bestätigen',
    lead: 'Bestätige, dass die Adresse, an die dieser Link ging, dir gehört.',
    submit: 'Bestätigen',
    done: 'Deine Adresse ist bestätigt. Du kannst dich jetzt anmelden.',
    noToken: 'Diese Seite braucht den Link aus der E-Mail. Öffne den ganzen Link; beim Anmelden kommt ein neuer.',
  },
  setUp: {
    title: 'Willkommen',
    shortTitle: 'Einrichten',
    lead: 'Dieser Server hat noch kein Administrationskonto. Lege es jetzt an: Es gehört dir, und du verwaltest damit den Server.',
    noToken: 'Diese Seite braucht den einmaligen Link, den der Server beim Start in seiner Konsole ausgegeben hat. Öffne den ganzen Link.',
    done: 'Dieser Server ist schon eingerichtet, deshalb gilt sein Einrichtungslink nicht mehr.',
    home: 'Zu deinen API-Schlüsseln',
  },
};
