/** E-mails in German: people are addressed as "du". */
import { keysPath, type MailTexts, noticesPath, planPath, profilePath } from './mail-texts.ts';

const toKeys = { label: 'Zu deinen Schlüsseln', path: keysPath };
const toNotices = { label: 'Zur Mitteilung', path: noticesPath };

const accountEvents: Readonly<Record<string, string>> = {
  password_changed: 'Dein Passwort wurde geändert',
  password_reset: 'Dein Passwort wurde über einen Link ersetzt',
  factor_enabled: 'Die Zwei-Faktor-Anmeldung wurde eingeschaltet',
  factor_disabled: 'Die Zwei-Faktor-Anmeldung wurde ausgeschaltet',
  factors_reset: 'Der Betreiber des Servers hat deinen zweiten Faktor und deine Passkeys entfernt',
  code_used: 'Einer deiner Ersatzcodes wurde zum Anmelden verwendet',
  passkey_added: 'Deinem Konto wurde ein Passkey hinzugefügt',
  passkey_removed: 'Aus deinem Konto wurde ein Passkey entfernt',
};

export const mailTexts: MailTexts = {
  language: 'de',
  greeting: 'Hallo,',
  noticeFoot: 'Du bekommst diese E-Mail wegen deiner Einstellungen für Mitteilungen. Hier wählst du, was du erfährst:',
  accountFoot: 'Falls du das nicht angefordert hast, brauchst du nichts zu tun: Ohne den Link ändert sich nichts.',
  of: {
    'notice.key_invalid': ({ provider, keyHint }, say) => ({
      subject: `${say.provider(provider)} nimmt deinen Schlüssel nicht mehr an`,
      paragraphs: [
        `${say.provider(provider)} hat deinen Schlüssel ${keyHint} abgelehnt. Er wurde widerrufen oder ist abgelaufen und wird nicht mehr verwendet.`,
        'Erstelle beim Anbieter einen neuen Schlüssel und ersetze den alten.',
      ],
      action: toKeys,
    }),
    'notice.key_no_credit': ({ provider, keyHint }, say) => ({
      subject: `Das Guthaben deines ${say.provider(provider)}-Kontos ist aufgebraucht`,
      paragraphs: [
        `${say.provider(provider)} meldet für deinen Schlüssel ${keyHint}, dass das Guthaben oder das Ausgabenlimit aufgebraucht ist.`,
        'Lade das Konto beim Anbieter auf oder erhöhe das Limit. Der Schlüssel wird von selbst wieder ausprobiert.',
      ],
      action: toKeys,
    }),
    'notice.key_unreadable': ({ provider, keyHint }, say) => ({
      subject: `Bitte gib deinen ${say.provider(provider)}-Schlüssel erneut ein`,
      paragraphs: [
        `Der Server kann deinen gespeicherten Schlüssel ${keyHint} für ${say.provider(provider)} nicht mehr öffnen und verwendet ihn nicht.`,
        'Gib den Schlüssel erneut ein. Niemand hat ihn gesehen.',
      ],
      action: toKeys,
    }),
    'notice.key_expires': ({ provider, keyHint, until, days }, say) => ({
      subject:
        {
          '-1': `Dein ${say.provider(provider)}-Schlüssel ist abgelaufen`,
          '0': `Dein ${say.provider(provider)}-Schlüssel läuft binnen eines Tages ab`,
        }[days ?? ''] ?? `Dein ${say.provider(provider)}-Schlüssel läuft in höchstens ${days} Tagen ab`,
      paragraphs: [
        `Du hast gesetzt, dass dein Schlüssel ${keyHint} bis ${say.dateTime(until)} gilt. Danach wird er nicht mehr verwendet.`,
        'Ersetze ihn, oder ändere das Datum, wenn er noch funktioniert.',
      ],
      action: { label: 'Schlüssel ersetzen', path: keysPath },
    }),
    'notice.fallback_used': ({ provider }, say) => ({
      subject: 'Der Schlüssel der Plattform hat statt deines geantwortet',
      paragraphs: [
        `Dein Schlüssel für ${say.provider(provider)} konnte für eine Anfrage nicht verwendet werden. Der Schlüssel der Plattform hat sie beantwortet, in den Grenzen deines Tarifs.`,
      ],
      action: toKeys,
    }),
    'notice.budget_80': ({ provider, keyHint, limitUsd }, say) => ({
      subject: `80 % deines Monatsbudgets für ${say.provider(provider)} sind verbraucht`,
      paragraphs: [`Anfragen über deinen Schlüssel ${keyHint} haben 80 % der ${limitUsd} $ verbraucht, die du für einen Monat erlaubst.`],
      action: toKeys,
    }),
    'notice.budget_100': ({ provider, keyHint, limitUsd, hard }, say) => ({
      subject: `Dein Monatsbudget für ${say.provider(provider)} ist aufgebraucht`,
      paragraphs: [
        `Anfragen über deinen Schlüssel ${keyHint} haben die ${limitUsd} $ verbraucht, die du für einen Monat erlaubst.`,
        hard === 'true'
          ? 'Bis zum Monatsende, oder bis du das Budget erhöhst, werden Anfragen über diesen Schlüssel abgelehnt.'
          : 'Anfragen gehen weiter: Dieses Budget gibt nur Bescheid.',
      ],
      action: toKeys,
    }),
    'notice.plan_ends': ({ until }, say) => ({
      subject: 'Dein Tarif endet bald',
      paragraphs: [
        `Dein Tarif endet am ${say.dateTime(until)}.`,
        'Danach bleiben deine eigenen Schlüssel gespeichert, werden aber nicht verwendet, und es gelten die Grenzen der Stufe Community. Mit einem neuen Tarif funktionieren sie wieder, wie sie sind.',
      ],
      action: { label: 'Zu deinem Tarif', path: planPath },
    }),
    'notice.new_sign_in': ({ browser, system, program, address, at }, say) => ({
      subject: 'Neue Anmeldung in deinem Konto',
      paragraphs: [
        `Am ${say.dateTime(at)} hat sich jemand in deinem Konto auf ${say.server} angemeldet: mit ${browser ? `${browser} auf ${system}` : (program ?? 'einem Programm ohne Namen')}, von ${address ?? 'einer unbekannten Adresse'} aus. Von dort hattest du dich noch nie angemeldet.`,
        'Wenn du das warst, ist alles gut. Wenn nicht, beende die Sitzung und ändere sofort dein Passwort.',
      ],
      action: { label: 'Zu deinen Sitzungen', path: profilePath },
    }),
    'notice.account_security': ({ event = '', at }, say) => ({
      subject: accountEvents[event] ?? 'Dein Konto wurde geändert',
      paragraphs: [
        `${accountEvents[event] ?? 'Dein Konto wurde geändert'}, auf ${say.server}, am ${say.dateTime(at)}.`,
        'Wenn du das warst, ist alles in Ordnung. Wenn nicht, wähle sofort ein neues Passwort und bitte die Administration um Hilfe.',
      ],
      action: { label: 'Dein Konto ansehen', path: profilePath },
    }),
    'notice.platform_key_failed': ({ provider, keyHint }, say) => ({
      subject: `Der ${say.provider(provider)}-Schlüssel der Plattform funktioniert nicht`,
      paragraphs: [
        `${say.provider(provider)} lehnt den Schlüssel ${keyHint} der Plattform ab, oder sein Guthaben ist aufgebraucht. Wer keinen funktionierenden eigenen Schlüssel hat, bekommt keine Antworten.`,
      ],
      action: toNotices,
    }),
    'notice.rotation_due': () => ({
      subject: 'Der Hauptschlüssel sollte ersetzt werden',
      paragraphs: ['ENCRYPTION_KEY hat sehr oft versiegelt. Ersetze ihn, wie es das Handbuch für Betreiber beschreibt.'],
      action: toNotices,
    }),
    'notice.mail_failed': () => ({
      subject: 'E-Mail kann nicht versendet werden',
      paragraphs: ['E-Mail kann nicht versendet werden.'],
      action: toNotices,
    }),
    'notice.prices_failed': () => ({
      subject: 'Neue Preise konnten nicht geholt werden',
      paragraphs: [
        'Die Preise unter PRICES_URL konnten nicht übernommen werden. Die bisher bekannten bleiben. Was nicht stimmt, steht im Log des Servers.',
      ],
      action: toNotices,
    }),
    'notice.backup_failed': () => ({
      subject: 'Eine Sicherung konnte nicht erstellt werden',
      paragraphs: [
        'Die geplante Sicherung konnte nicht erstellt werden. Sieh dir BACKUP_DIR und den Platz auf seiner Platte an. Was nicht stimmt, steht im Log des Servers.',
      ],
      action: toNotices,
    }),
    reset_password: (_data, say) => ({
      subject: 'Wähle ein neues Passwort',
      paragraphs: [`Jemand hat für dein Konto auf ${say.server} ein neues Passwort angefordert. Dieser Link gilt einmal und nicht lange.`],
      action: { label: 'Neues Passwort wählen', path: profilePath },
    }),
    verify_email: (_data, say) => ({
      subject: 'Bestätige deine E-Mail-Adresse',
      paragraphs: [
        `Bestätige, dass diese Adresse dir gehört, damit ${say.server} dich erreichen kann. Dieser Link gilt einmal und nicht lange.`,
      ],
      action: { label: 'Adresse bestätigen', path: profilePath },
    }),
  },
};
