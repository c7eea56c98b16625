import type { Texts } from '../i18n.ts';

export const notices: Texts['notices'] = {
  title: 'Mitteilungen',
  lead: 'Was du über deine Schlüssel, deinen Tarif und dein Konto wissen solltest.',
  forAdministrators: 'Für Administratoren',
  sharedLead: 'Diese teilen sich alle Administratoren: Wer eine als gelesen markiert oder entfernt, tut es für alle.',
  yours: 'Deine',
  none: 'Es gibt nichts, was du wissen müsstest.',
  noneOfYours: 'Für dich selbst gibt es nichts.',
  noneHint:
    'Wenn ein Schlüssel nicht mehr funktioniert, ein Tarif bald endet oder sich jemand von einem neuen Ort anmeldet, steht es hier.',
  markRead: 'Als gelesen markieren',
  markAllRead: 'Alle als gelesen markieren',
  remove: 'Entfernen',
  isNew: 'Neu',
  more: 'Ältere zeigen',
  removed: 'Entfernt: {what}',
  allRead: 'Alle sind als gelesen markiert.',
  of: {
    key_invalid: {
      name: 'Ein Schlüssel wird nicht mehr angenommen',
      title: '{provider} nimmt deinen Schlüssel {keyHint} nicht mehr an',
      steps: 'Er wurde widerrufen oder ist abgelaufen und wird nicht mehr verwendet. Erstelle bei {provider} einen neuen und ersetze ihn.',
    },
    key_no_credit: {
      name: 'Ein Schlüssel hat kein Guthaben mehr',
      title: 'Dein {provider}-Konto hat kein Guthaben mehr',
      steps: 'Lade es bei {provider} auf oder erhöhe dort das Ausgabenlimit. Dein Schlüssel {keyHint} wird von selbst wieder ausprobiert.',
    },
    key_unreadable: {
      name: 'Ein Schlüssel muss erneut eingegeben werden',
      title: 'Dein {provider}-Schlüssel {keyHint} muss erneut eingegeben werden',
      steps: 'Der Server kann ihn nicht mehr öffnen und verwendet ihn nicht. Niemand hat ihn gesehen.',
    },
    key_expires: {
      name: 'Ein Schlüssel läuft bald ab',
      title: 'Dein {provider}-Schlüssel {keyHint} gilt bis {date}',
      steps:
        'Dieses Datum hast du gesetzt. Nach diesem Tag wird der Schlüssel nicht mehr verwendet: Ersetze ihn rechtzeitig oder ändere das Datum.',
    },
    fallback_used: {
      name: 'Der Schlüssel der Plattform hat statt deines geantwortet',
      title: 'Der Schlüssel der Plattform hat statt deines {provider}-Schlüssels geantwortet',
      steps:
        'Dein Schlüssel konnte für eine Anfrage nicht verwendet werden. Anfragen über den Schlüssel der Plattform zählen zu den Limits deines Tarifs.',
    },
    budget_80: {
      name: '80 % eines Monatsbudgets sind verbraucht',
      title: '80 % deines Monatsbudgets für {provider} sind verbraucht',
      steps: 'Du erlaubst {limit} im Monat auf deinem Schlüssel {keyHint}.',
    },
    budget_100: {
      name: 'Ein Monatsbudget ist aufgebraucht',
      title: 'Dein Monatsbudget von {limit} für {provider} ist aufgebraucht',
      steps: 'Auf der Seite deiner Schlüssel steht, ob Anfragen weitergehen, und dort kannst du das Budget erhöhen.',
    },
    plan_ends: {
      name: 'Dein Tarif endet bald',
      title: 'Dein Tarif endet am {date}',
      steps:
        'Danach bleiben deine eigenen Schlüssel gespeichert, werden aber nicht verwendet. Mit einem neuen Tarif funktionieren sie wieder, wie sie sind.',
    },
    new_sign_in: {
      name: 'Eine Anmeldung von einem neuen Ort',
      title: 'Neue Anmeldung mit {what}, von {address}',
      steps: 'Wenn du das warst, ist alles gut. Wenn nicht, beende die Sitzung und ändere sofort dein Passwort.',
    },
    account_security: {
      name: 'Eine Änderung an deiner Anmeldung',
      title: '{event}',
      steps: 'Wenn du das warst, ist alles in Ordnung. Wenn nicht, wähle sofort ein neues Passwort.',
    },
    platform_key_failed: {
      name: 'Ein Schlüssel der Plattform funktioniert nicht',
      title: 'Der {provider}-Schlüssel {keyHint} der Plattform funktioniert nicht: {reason}',
      steps:
        'Wer keinen funktionierenden eigenen Schlüssel hat, bekommt keine Antworten. Ersetze den Schlüssel oder kümmere dich um sein Konto.',
    },
    rotation_due: {
      name: 'Der Hauptschlüssel sollte ersetzt werden',
      title: 'Der Hauptschlüssel {masterKeyId} hat sehr oft versiegelt',
      steps: 'Ersetze ENCRYPTION_KEY, wie es das Handbuch für Betreiber beschreibt.',
    },
    mail_failed: {
      name: 'E-Mail kann nicht versendet werden',
      title: 'E-Mail konnte nicht versendet werden: {reason}',
      steps: 'Sieh dir SMTP_URL und MAIL_FROM an und was dein Mailserver dazu sagt. Ihre Mitteilungen sehen alle trotzdem hier.',
    },
    prices_failed: {
      name: 'Neue Preise konnten nicht geholt werden',
      title: 'Die Preise unter PRICES_URL konnten nicht übernommen werden',
      steps: 'Die bisher bekannten Preise bleiben. Was nicht stimmt, steht im Log dieses Servers.',
    },
    backup_failed: {
      name: 'Eine Sicherung konnte nicht erstellt werden',
      title: 'Die geplante Sicherung konnte nicht erstellt werden: {reason}',
      steps:
        'Sieh dir BACKUP_DIR und den Platz auf seiner Platte an. Mehr steht im Log dieses Servers; alle zehn Minuten wird es erneut versucht.',
    },
  },
  links: {
    keys: 'Zu deinen Schlüsseln',
    usage: 'Zu deiner Nutzung',
    plan: 'Zu Tarif und Limits',
    sessions: 'Zu deinen Sitzungen',
    account: 'Zu deinem Konto',
  },
  device: '{browser} auf {system}',
  unnamed: 'einem Programm ohne Namen',
  noAddress: 'einer unbekannten Adresse',
  events: {
    password_changed: 'Dein Passwort wurde geändert',
    password_reset: 'Dein Passwort wurde über einen Link ersetzt',
    factor_enabled: 'Die Zwei-Faktor-Anmeldung wurde eingeschaltet',
    factor_disabled: 'Die Zwei-Faktor-Anmeldung wurde ausgeschaltet',
    factors_reset: 'Der Betreiber dieses Servers hat deinen zweiten Faktor und deine Passkeys entfernt',
    code_used: 'Einer deiner Ersatzcodes wurde verwendet',
    passkey_added: 'Deinem Konto wurde ein Passkey hinzugefügt',
    passkey_removed: 'Aus deinem Konto wurde ein Passkey entfernt',
  },
  reasons: {
    bad_key: 'der Anbieter lehnt ihn ab',
    no_credit: 'sein Guthaben ist aufgebraucht',
    not_allowed: 'er darf nicht, was von ihm verlangt wird',
    unreadable: 'der Hauptschlüssel dieses Servers öffnet ihn nicht',
    unreachable: 'der Mailserver ist nicht erreichbar',
    timeout: 'der Mailserver braucht zu lange',
    tls: 'es gibt keine vertrauenswürdige TLS-Verbindung zum Mailserver',
    sign_in: 'der Mailserver lehnt Benutzer und Passwort ab',
    sender: 'der Mailserver lehnt den Absender ab',
    recipient: 'der Mailserver lehnt einen Empfänger ab',
    message: 'der Mailserver lehnt eine Nachricht ab',
    interrupted: 'der Server wurde mittendrin angehalten',
    other: 'mehr steht im Log dieses Servers',
    full: 'die Platte ist voll',
    unwritable: 'den Ordner gibt es nicht, oder er ist nicht beschreibbar',
    wrong_key: 'der Hauptschlüssel öffnet die Daten nicht',
    damaged: 'die Datenbank ist beschädigt',
  },
  wishes: {
    title: 'Was du erfährst',
    lead: 'Wähle, was hier gezeigt wird und was du außerdem per E-Mail an {email} bekommst.',
    noMail: 'Dieser Server versendet keine E-Mail: Sein Betreiber hat das nicht eingerichtet.',
    kind: 'Was passiert ist',
    page: 'Hier',
    email: 'E-Mail',
    never: 'nie',
    saved: 'Gespeichert',
  },
};
