/**
 * What the server says, which it says in English: its sentence, and ours. `{x}` stands for what differs. Held to the server's own
 * texts by server-sentences.test.ts.
 */
export const sentences: Readonly<Record<string, string>> = {
  'There is a subscription, which would go on. Cancel it first, in Settings > Plan or in Stripe.':
    'Es gibt ein Abonnement, das weiterliefe. Kündige es zuerst: Einstellungen > Plan.',
  'This is the last administrator of this server. Make another one first.':
    'Das ist das letzte Administrationskonto dieses Servers. Lege zuerst ein weiteres an.',
  'Sign out and in again first: this is possible within ten minutes of signing in.':
    'Melde dich zuerst ab und wieder an: Das geht innerhalb von zehn Minuten nach der Anmeldung.',
  // What a check of a key found
  'The key works: {name} accepts it.': 'Der Schlüssel funktioniert: {name} akzeptiert ihn.',
  'The key works. {name} is slowing it down just now because it is used a lot; that passes by itself.':
    'Der Schlüssel funktioniert. {name} bremst ihn gerade, weil er viel benutzt wird; das gibt sich von selbst.',
  'The key is genuine, but {name} limits what it may do, or from where. If requests fail, look at the permissions, allowed addresses and organisation of the key at {url}.':
    'Der Schlüssel ist echt, aber {name} schränkt ein, was er darf oder von wo aus. Wenn Anfragen fehlschlagen, sieh dir seine Rechte, erlaubten Adressen und die Organisation an: {url}.',
  'The key is genuine, but {name} offers it none of the models that we tried. Look at {url} which models its workspace may use.':
    'Der Schlüssel ist echt, aber {name} bietet ihm keines der Modelle an, die wir probiert haben. Sieh unter {url} nach, welche Modelle sein Workspace benutzen darf.',
  '{name} does not accept this key: it is mistyped, deleted or expired. Make a new key at {url} and paste the whole of it.':
    '{name} akzeptiert diesen Schlüssel nicht: Er ist falsch eingegeben, gelöscht oder abgelaufen. Lege unter {url} einen neuen an und füge ihn vollständig ein.',
  '{name} knows this key, but its account has no credit left or has reached its spending limit. Add credit or raise the limit in your {account} account under Billing.':
    '{name} kennt diesen Schlüssel, aber das Konto hat kein Guthaben mehr oder sein Ausgabenlimit erreicht. Lade in deinem Konto bei {account} unter „Billing“ Guthaben auf oder erhöhe das Limit.',
  '{name} has trouble just now, so the key could not be checked. You need not do anything. A saved key is checked again by itself within minutes.':
    '{name} hat gerade Schwierigkeiten, deshalb konnte der Schlüssel nicht geprüft werden. Du musst nichts tun: Ein gespeicherter Schlüssel wird binnen Minuten von selbst wieder geprüft.',
  'The answer to our check was not one that we know from {name}, so nothing is known about the key. A saved key is checked again by itself within minutes. If this lasts, ask your administrator to check the address that is set for {again}.':
    'Die Antwort auf unsere Prüfung war keine, die wir von {name} kennen, deshalb wissen wir nichts über den Schlüssel. Ein gespeicherter Schlüssel wird binnen Minuten von selbst wieder geprüft. Wenn es so bleibt, bitte deine Administration, die für {again} eingestellte Adresse zu prüfen.',
  "This server could not reach {name}, so the key could not be checked. A saved key is checked again by itself within minutes. If this lasts, ask your administrator to check the server's network.":
    'Dieser Server konnte {name} nicht erreichen, deshalb ist der Schlüssel nicht geprüft. Ein gespeicherter Schlüssel wird binnen Minuten von selbst wieder geprüft. Wenn es so bleibt, bitte deine Administration, das Netz des Servers zu prüfen.',
  '{name} took too long to answer, so the key could not be checked. You need not do anything. A saved key is checked again by itself within minutes.':
    '{name} hat zu lange nicht geantwortet, deshalb ist der Schlüssel nicht geprüft. Du musst nichts tun: Ein gespeicherter Schlüssel wird binnen Minuten von selbst wieder geprüft.',

  'Passwords are for administrators only here. Sign in with your organisation.':
    'Passwörter sind hier nur für die Administration. Melde dich mit deiner Organisation an.',

  // The end of a key, and the key before it
  'Choose a day that is still to come.': 'Wähle einen Tag, der noch kommt.',
  'Choose a day in the next twenty years.': 'Wähle einen Tag in den nächsten zwanzig Jahren.',
  'The date that you have set for the old key has passed. Nothing was changed; enter the key again to use it.':
    'Der Tag, den du für den alten Schlüssel festgelegt hast, ist vorbei. Nichts wurde geändert; gib den Schlüssel neu ein, um ihn zu benutzen.',
  '{name} does not accept the old key any more. Nothing was changed.':
    '{name} akzeptiert den alten Schlüssel nicht mehr. Nichts wurde geändert.',
  'The account of the old key has no credit left at {name}. Nothing was changed.':
    'Das Konto des alten Schlüssels hat bei {name} kein Guthaben mehr. Nichts wurde geändert.',
  '{name} could not be asked whether the old key still works. Nothing was changed; try again later.':
    '{name} konnte nicht gefragt werden, ob der alte Schlüssel noch funktioniert. Nichts wurde geändert; versuche es später noch einmal.',

  // Billing
  'The payment service cannot be reached. Please try again in a moment.':
    'Der Zahlungsdienst ist nicht erreichbar. Bitte versuche es gleich noch einmal.',
  'Stripe told no address to go to. Please try again in a moment.':
    'Stripe hat keine Adresse genannt, auf der es weitergeht. Bitte versuche es gleich noch einmal.',
  'This is not on sale.': 'Das ist nicht (mehr) im Angebot. Lade die Seite neu.',
  'You have bought this already.': 'Das hast du schon gekauft.',
  'You have not bought anything here yet.': 'Du hast hier noch nichts gekauft.',
  'Nothing is sold on this server.': 'Auf diesem Server wird nichts verkauft.',
  'This account is being changed. Send the event again.': 'Dieses Konto wird gerade geändert. Bitte versuche es gleich noch einmal.',
  'This account is gone.': 'Dieses Konto gibt es nicht mehr.',

  // Second factors, passkeys and one-time links
  'The password is wrong.': 'Das Passwort ist falsch.',
  'This server sends no e-mail. Ask an administrator of this server for a link to a new password.':
    'Dieser Server sendet keine E-Mails. Bitte seine Administration um einen Link zu einem neuen Passwort.',
  'Confirm your e-mail address first: open the link that was sent to it. If it is old, a new one is on its way.':
    'Bestätige zuerst deine E-Mail-Adresse: Öffne den Link, der an sie ging. Wenn er alt ist, ist ein neuer unterwegs.',
  'This link does not work any more: it was used, or its time is over. Ask for a new one.':
    'Dieser Link gilt nicht mehr: Er wurde benutzt, oder seine Zeit ist um. Fordere einen neuen an.',
  'Too many wrong codes. Please try again later.': 'Zu viele falsche Codes. Bitte versuche es später noch einmal.',
  'Enter the code of your authenticator app.': 'Gib den Code aus deiner Authentifizierungs-App ein.',
  'This code is wrong, or was used before. Wait for the next one.':
    'Dieser Code ist falsch oder wurde schon benutzt. Warte auf den nächsten.',
  'Two-factor authentication is already on.': 'Die Zwei-Faktor-Anmeldung ist schon eingeschaltet.',
  'Two-factor authentication is not on.': 'Die Zwei-Faktor-Anmeldung ist nicht eingeschaltet.',
  'You have 20 passkeys. Remove one first.': 'Du hast 20 Passkeys. Entferne zuerst einen.',
  'There is no such passkey.': 'Diesen Passkey gibt es nicht (mehr). Lade die Seite neu.',
  'The passkey could not be added. Please try again.': 'Der Passkey konnte nicht hinzugefügt werden. Bitte versuche es noch einmal.',
  'This passkey does not open an account here. Sign in with your password.':
    'Dieser Passkey öffnet hier kein Konto. Melde dich mit deinem Passwort an.',
  'Enter the code.': 'Gib den Code ein.',
  'This is no code: it is too long.': 'Das ist kein Code: Es ist zu lang.',
  'The link is incomplete: open the whole link from the e-mail.': 'Der Link ist unvollständig: Öffne den ganzen Link aus der E-Mail.',
  'Enter your password.': 'Gib dein Passwort ein.',
  'This is not the id of a passkey.': 'Das ist keine Kennung eines Passkeys.',
  'This is not what a browser sends.': 'Das ist nicht, was ein Browser sendet.',
  'Give the passkey a name.': 'Gib dem Passkey einen Namen.',
  'Your second factor cannot be opened with the master key of this server. An administrator has to reset it.':
    'Dein zweiter Faktor lässt sich mit dem Hauptschlüssel dieses Servers nicht öffnen. Die Administration muss ihn zurücksetzen.',

  // Keys
  'This key cannot be opened. Enter it again.': 'Dieser Schlüssel lässt sich nicht öffnen. Gib ihn noch einmal ein.',
  'There is no such key.': 'Diesen Schlüssel gibt es nicht (mehr). Lade die Seite neu.',
  'This key was replaced or removed while it was being checked. Look again.':
    'Dieser Schlüssel wurde ersetzt oder entfernt, während er geprüft wurde. Sieh noch einmal nach.',
  'The database cannot be written at the moment. Nothing was saved; please try again.':
    'In die Datenbank kann gerade nicht geschrieben werden. Nichts wurde gespeichert; bitte versuche es erneut.',
  'The master key of this server has sealed as often as is safe. Nothing was saved; an administrator has to change it (keys rotate).':
    'Der Hauptschlüssel dieses Servers hat so oft versiegelt, wie es sicher ist. Nichts wurde gespeichert; die Administration muss ihn wechseln (keys rotate).',
  'Your plan does not include own keys. Nothing was saved or checked.':
    'Dein Tarif enthält keine eigenen Schlüssel. Nichts wurde gespeichert oder geprüft.',
  'You have had keys checked very often. Nothing was changed; try again in {n} minutes.':
    'Du hast sehr oft Schlüssel prüfen lassen. Nichts wurde geändert; versuche es in {n} Minuten wieder.',
  'You have had keys checked very often. Nothing was changed; try again in {n} seconds.':
    'Du hast sehr oft Schlüssel prüfen lassen. Nichts wurde geändert; versuche es in {n} Sekunden wieder.',
  'This is a gateway token of this server, not a key of {name}. Paste a key that you made at {url}.':
    'Das ist ein Gateway-Token dieses Servers, kein Schlüssel von {name}. Füge einen Schlüssel ein, den du unter {url} angelegt hast.',
  'This looks like a key of {other} ({otherFormat}), not of {name}. Choose {choice} as the provider, or paste a key of {same} ({format}).':
    'Das sieht nach einem Schlüssel von {other} aus ({otherFormat}), nicht von {name}. Wähle {choice} als Anbieter, oder füge einen Schlüssel von {same} ein ({format}).',
  'This does not look like a key of {name}: those begin as {format}. Copy the whole key from {url}.':
    'Das sieht nicht nach einem Schlüssel von {name} aus: Die beginnen mit {format}. Kopiere den ganzen Schlüssel von {url}.',
  // Budgets, several keys and the cap on fallback
  'Write the name as text.': 'Schreib den Namen als Text.',
  'At most 60 characters.': 'Höchstens 60 Zeichen.',
  'Write models as text.': 'Schreib die Modelle als Text.',
  'The name of a model, or the beginning of some with a * at the end, such as gpt-4.1*.':
    'Der Name eines Modells, oder der Anfang von mehreren mit * am Ende, etwa gpt-4.1*.',
  'At most 50 models.': 'Höchstens 50 Modelle.',
  'A whole number.': 'Eine ganze Zahl.',
  'A whole number, or nothing.': 'Eine ganze Zahl oder nichts.',
  'Counted from 0.': 'Gezählt ab 0.',
  '0 or more.': '0 oder mehr.',
  'At most 1000000.': 'Höchstens 1.000.000.',
  'There are not so many keys.': 'So viele Schlüssel gibt es nicht.',
  'An amount of US dollars.': 'Ein Betrag in US-Dollar.',
  'At least $0.01.': 'Mindestens 0,01 $.',
  'At most $1,000,000.': 'Höchstens 1.000.000 $.',
  'There is no such key to replace.': 'Den Schlüssel, der ersetzt werden soll, gibt es nicht (mehr). Lade die Seite neu.',
  'You have {most} keys of {name}, which is as many as this server allows. Replace one of them, or remove one.':
    'Du hast {most} Schlüssel für {name}; mehr erlaubt dieser Server nicht. Ersetze einen davon, oder entferne einen.',
  'This cannot be used.': 'Das lässt sich nicht verwenden.',
  'Paste the key as text.': 'Füge den Schlüssel als Text ein.',
  'This is longer than any provider key: paste only the key.':
    'Das ist länger als jeder Schlüssel eines Anbieters: Füge nur den Schlüssel ein.',
  'This is too short for a key: paste the whole key (at least 16 characters).':
    'Das ist zu kurz für einen Schlüssel: Füge den ganzen Schlüssel ein (mindestens 16 Zeichen).',
  'This is longer than any provider key (at most 512 characters): paste only the key.':
    'Das ist länger als jeder Schlüssel eines Anbieters (höchstens 512 Zeichen): Füge nur den Schlüssel ein.',
  'A key has no spaces, line ends or special characters inside: copy it again, in one piece.':
    'Ein Schlüssel enthält keine Leerzeichen, Zeilenenden oder Sonderzeichen: Kopiere ihn noch einmal, an einem Stück.',
  'This is not the id of a key.': 'Das ist nicht die Kennung eines Schlüssels.',
  'Unknown provider: use one of {ids}.': 'Unbekannter Anbieter: Wähle einen von {ids}.',

  // Tokens
  'There is no such token.': 'Dieses Token gibt es nicht (mehr). Lade die Seite neu.',
  'There is no such notice.': 'Diese Mitteilung gibt es nicht mehr.',
  'There is no such kind of notice.': 'Diese Art von Mitteilung gibt es nicht.',
  'This is never told by e-mail.': 'Das wird nie per E-Mail mitgeteilt.',
  'Too many pages listen for notices. Reload this one to see what is new.':
    'Zu viele Seiten warten auf Mitteilungen. Lade diese neu, um zu sehen, was neu ist.',
  'This is not the id of a notice.': 'Das ist nicht die ID einer Mitteilung.',
  'Name what should change: page or email.': 'Nenne, was sich ändern soll: page oder email.',
  'Choose a moment in the future.': 'Wähle einen Zeitpunkt in der Zukunft.',
  'Give the token a name.': 'Gib dem Token einen Namen.',
  'Name at least one scope.': 'Nenne mindestens einen Bereich.',
  'This is not the id of a token.': 'Das ist nicht die Kennung eines Tokens.',
  'A token cannot do this. Sign in, or use a JWT of your own.': 'Ein Token kann das nicht. Melde dich an, oder benutze ein eigenes JWT.',

  // Accounts
  'There is no such account.': 'Dieses Konto gibt es nicht.',
  'This server is set up already. Sign in.': 'Dieser Server ist schon eingerichtet. Melde dich an.',
  'This set-up link does not work. Open the newest one that the console of the server printed.':
    'Dieser Einrichtungslink funktioniert nicht. Öffne den neuesten, den der Server in seiner Konsole ausgegeben hat.',
  'The set-up link is incomplete: open the whole link from the console.':
    'Der Einrichtungslink ist unvollständig: Öffne den ganzen Link aus der Konsole.',
  'There is already an account with this e-mail address.': 'Zu dieser E-Mail-Adresse gibt es schon ein Konto.',
  'Only addresses at {domains} can sign up here.': 'Hier können sich nur Adressen von {domains} registrieren.',
  'This server is not set up yet: open the link that its console prints.':
    'Dieser Server ist noch nicht eingerichtet: Öffne den Link, den er in seiner Konsole ausgibt.',
  'Sign in first.': 'Melde dich zuerst an.',
  'Sign in first, or send a token: Authorization: Bearer <token>.': 'Melde dich zuerst an.',
  'This token may only send AI requests. Make one with the scope "manage" for this.':
    'Dieses Token darf nur KI-Anfragen stellen. Lege dafür eines mit dem Bereich „manage“ an.',
  'Only an administrator can do this.': 'Das kann nur die Administration.',
  'Too many attempts. Please try again later.': 'Zu viele Versuche. Bitte versuche es später wieder.',
  'Too many requests. Please try again later.': 'Zu viele Anfragen. Bitte versuche es später wieder.',
  'Too many people sign in right now. Please try again.': 'Gerade melden sich zu viele Leute an. Bitte versuche es erneut.',
  'The e-mail address or the password is wrong.': 'Die E-Mail-Adresse oder das Passwort ist falsch.',
  'This account is disabled. Ask an administrator of this server.': 'Dieses Konto ist gesperrt. Frag die Administration dieses Servers.',
  'The current password is wrong.': 'Das jetzige Passwort ist falsch.',
  'Enter an e-mail address such as ada@example.com.': 'Gib eine E-Mail-Adresse ein, zum Beispiel ada@example.com.',
  'Enter a password.': 'Gib ein Passwort ein.',
  'Enter the password.': 'Gib das Passwort ein.',
  'Enter your name.': 'Gib deinen Namen ein.',
  'Use at least 12 characters.': 'Verwende mindestens 12 Zeichen.',
  'Use at most 128 characters.': 'Verwende höchstens 128 Zeichen.',
  'At most 128 characters.': 'Höchstens 128 Zeichen.',
  'Use at most 100 characters.': 'Verwende höchstens 100 Zeichen.',
  'Use letters, digits and signs only: no line ends or control characters.':
    'Verwende nur Buchstaben, Ziffern und Zeichen: keine Zeilenenden oder Steuerzeichen.',
  'Use a language such as en or de-AT.': 'Verwende eine Sprache wie en oder de-AT.',
  'Name what should change: name, timezone or locale.': 'Nenne, was sich ändern soll: Name, Zeitzone oder Sprache.',
  'Name an IANA time zone, such as Europe/Berlin.': 'Nenne eine IANA-Zeitzone, zum Beispiel Europe/Berlin.',
  'This is not the id of a session.': 'Das ist nicht die Kennung einer Sitzung.',
  'This session has already ended.': 'Diese Sitzung ist schon beendet.',

  // Usage
  'Give an ISO 8601 instant such as {example}.': 'Gib einen Zeitpunkt nach ISO 8601 an, zum Beispiel {example}.',
  'Name an instant of the years 1 to 9999.': 'Nenne einen Zeitpunkt der Jahre 1 bis 9999.',
  'It must be after from.': 'Das Ende muss nach dem Anfang liegen.',
  'The range is at most {n} days.': 'Der Zeitraum ist höchstens {n} Tage lang.',
  'By hour, the range is at most {n} days.': 'Nach Stunden ist der Zeitraum höchstens {n} Tage lang.',

  // Any of them
  'This request comes from another site.': 'Diese Anfrage kommt von einer anderen Website.',
  'This request does not come from a page of this server.': 'Diese Anfrage kommt nicht von einer Seite dieses Servers.',
  'This server is shutting down.': 'Dieser Server wird gerade beendet. Versuche es gleich noch einmal.',
  'There is nothing here.': 'Hier gibt es nichts.',
  'This is for the pages: sign in with a browser.': 'Das ist für die Seiten: Melde dich mit einem Browser an.',
  'The input is not valid.': 'Die Eingabe ist nicht gültig.',
  'The body is not valid JSON.': 'Die Anfrage ist kein gültiges JSON.',
  'The body is not valid JSON of the expected shape.': 'Die Anfrage ist kein gültiges JSON der erwarteten Form.',
  'The body is too large.': 'Die Anfrage ist zu groß.',
  'Send plain application/json.': 'Sende einfaches application/json.',
  'Send application/json.': 'Sende application/json.',
  'There is no such procedure.': 'Diesen Aufruf gibt es nicht. Lade die Seite neu.',
  'Queries are GET, mutations are POST.': 'Lesen geht mit GET, Ändern mit POST.',
  'This call is not understood.': 'Dieser Aufruf wird nicht verstanden. Lade die Seite neu.',
  'Unknown field: leave it out.': 'Unbekanntes Feld: Lass es weg.',
  'It is not understood.': 'Das wird nicht verstanden.',
  'The database cannot be used at the moment. Please try again.': 'Die Datenbank ist gerade nicht benutzbar. Bitte versuche es erneut.',
  'Something went wrong on this server. Please try again; its log says more.':
    'Auf diesem Server ist etwas schiefgegangen. Bitte versuche es erneut; sein Protokoll sagt mehr.',
};
