/** What the server says of agents, answers and conversations, and why a request of theirs was not answered: as in server.ts. */
import { catalog } from './catalog.ts';

const answers: Readonly<Record<string, string>> = {
  // Asking
  'Write a message.': 'Schreib eine Nachricht.',
  'A message is text.': 'Eine Nachricht ist Text.',
  'It is too long.': 'Das ist zu lang.',
  'At most {n} messages.': 'Höchstens {n} Nachrichten.',
  'At most {n} characters.': 'Höchstens {n} Zeichen.',
  'A file needs a name.': 'Eine Datei braucht einen Namen.',
  'A file name has at most {n} characters.': 'Ein Dateiname hat höchstens {n} Zeichen.',
  'A file name has no quotes, angle brackets or control characters.':
    'Ein Dateiname enthält keine Anführungszeichen, spitzen Klammern oder Steuerzeichen.',
  'Only text files can be attached.': 'Nur Textdateien lassen sich anhängen.',
  'At most 200 kB in all files.': 'Höchstens 200 kB in allen Dateien.',
  'At most {n} files.': 'Höchstens {n} Dateien.',
  'Only messages of your own can be replaced.': 'Nur eigene Nachrichten lassen sich ersetzen.',
  'There is no answer in this conversation yet.': 'In dieser Unterhaltung gibt es noch keine Antwort.',
  'There is no such agent.': 'Diesen Agenten gibt es nicht.',
  'There is no such message.': 'Diese Nachricht gibt es nicht (mehr).',
  'There is no such conversation.': 'Diese Unterhaltung gibt es nicht (mehr).',
  'This is not the id of a conversation.': 'Das ist nicht die Kennung einer Unterhaltung.',
  'This is not the id of a message.': 'Das ist nicht die Kennung einer Nachricht.',
  'This is not the id of an answer.': 'Das ist nicht die Kennung einer Antwort.',
  'Say whose model this is: it is in no price list.': 'Sag, von wem dieses Modell ist: Es steht in keiner Preisliste.',
  '{name} is part of the Premium and Lifetime plans. {description} With them you have all AI Cofounders.':
    '{name} gehört zu den Tarifen Premium und Lifetime. Mit ihnen hast du alle KI-Mitgründer.',
  'This conversation has changed meanwhile, or an answer is under way in it. Load it again.':
    'Diese Unterhaltung hat sich inzwischen geändert, oder es entsteht gerade eine Antwort darin. Lade sie neu.',
  'An answer is under way in this conversation. Wait for it, or stop it first.':
    'In dieser Unterhaltung entsteht gerade eine Antwort. Warte darauf, oder halte sie zuerst an.',
  'You have {n} answers under way, which is as many as there may be. Wait for one, or stop it.':
    'Du hast {n} Antworten in Arbeit, mehr geht nicht auf einmal. Warte auf eine, oder halte eine an.',
  'You have asked {n} questions within a minute. Wait a moment.': 'Du hast {n} Fragen in einer Minute gestellt. Warte einen Moment.',
  'You have {n} requests under way, which is as many as there may be. Wait for one to end.':
    'Du hast {n} Anfragen in Arbeit, mehr geht nicht auf einmal. Warte, bis eine fertig ist.',
  'You follow as many answers as there may be at once. Close a page, or reload this one.':
    'Du verfolgst so viele Antworten, wie auf einmal gehen. Schließ eine Seite, oder lade diese neu.',

  // What became of an answer
  'There is no such answer under way. The conversation shows what became of it.':
    'Diese Antwort ist nicht mehr in Arbeit. Die Unterhaltung zeigt, was daraus wurde.',
  'This answer could not be kept: copy what you need of it.':
    'Diese Antwort konnte nicht aufbewahrt werden: Kopiere, was du davon brauchst.',
  'The server was restarted while it answered. What was said until then is kept.':
    'Der Server wurde neu gestartet, während er antwortete. Was bis dahin da war, ist aufbewahrt.',
  'This server is restarting. Try again in a moment.': 'Dieser Server startet gerade neu. Versuche es gleich noch einmal.',
  '{name} refused this request. Try another model.': '{name} hat diese Anfrage abgelehnt. Versuche ein anderes Modell.',
  '{name} refused this request: {said}': '{name} hat diese Anfrage abgelehnt: {said}',
  '{name} broke off its answer. Try again.': '{name} hat die Antwort abgebrochen. Versuche es erneut.',
  '{name} does not accept your key. Replace it in Settings > API Keys.':
    '{name} akzeptiert deinen Schlüssel nicht. Ersetze ihn in den Einstellungen unter „API-Schlüssel“.',
  'Your account at {name} has no credit. Add some there, then test the key in Settings > API Keys.':
    'Dein Konto bei {name} hat kein Guthaben. Lade es dort auf, und teste dann den Schlüssel in den Einstellungen unter „API-Schlüssel“.',
  'Your key may not do this at {name}: look at its permissions there, or choose another model.':
    'Dein Schlüssel darf das bei {name} nicht: Sieh dir dort seine Rechte an, oder wähle ein anderes Modell.',
  '{name} takes no more requests on your key at the moment. Wait a little, then try again.':
    '{name} nimmt mit deinem Schlüssel gerade keine Anfragen mehr an. Warte ein wenig, und versuche es dann erneut.',
  '{name} has trouble at the moment. Try again, or choose a model of another provider.':
    '{name} hat gerade Schwierigkeiten. Versuche es erneut, oder wähle ein Modell eines anderen Anbieters.',
  '{name} has trouble at the moment (status {status}). Try again shortly.':
    '{name} hat gerade Schwierigkeiten (Status {status}). Versuche es gleich noch einmal.',
  'The connection to {name} broke off. What was said until then is kept; try again.':
    'Die Verbindung zu {name} ist abgerissen. Was bis dahin da war, ist aufbewahrt; versuche es erneut.',
  'The connection to {name} failed. Please try again in a moment.':
    'Die Verbindung zu {name} kam nicht zustande. Versuche es gleich noch einmal.',
  '{name} went silent. What was said until then is kept; try again.':
    '{name} ist verstummt. Was bis dahin da war, ist aufbewahrt; versuche es erneut.',
  'The usage of this answer could not be recorded, so it was broken off. Try again.':
    'Die Nutzung dieser Antwort ließ sich nicht verbuchen, deshalb wurde sie abgebrochen. Versuche es erneut.',
  'The answer became too long, so it was broken off here.': 'Die Antwort wurde zu lang und deshalb hier abgebrochen.',
  'The model ended without saying anything. Ask again, or in other words.':
    'Das Modell hat nichts gesagt. Frag noch einmal, oder mit anderen Worten.',

  // Why no key could answer
  "Your tier ({tier}) allows {n} requests a minute on the platform's key. Wait {s} s, or add your own key in Settings > API Keys: own keys have no such limit.":
    'Dein Tarif ({tier}) erlaubt {n} Anfragen pro Minute über den Schlüssel der Plattform. Warte {s} s, oder füge in den Einstellungen unter „API-Schlüssel“ einen eigenen hinzu: Eigene Schlüssel haben kein solches Limit.',
  "Your tier ({tier}) allows {n} requests a minute on the platform's key. Wait {s} s, or change to a plan with own keys and add yours: own keys have no such limit.":
    'Dein Tarif ({tier}) erlaubt {n} Anfragen pro Minute über den Schlüssel der Plattform. Warte {s} s, oder wechsle zu einem Tarif mit eigenen Schlüsseln und füge deinen hinzu: Eigene Schlüssel haben kein solches Limit.',
  "Your tier ({tier}) allows {n} requests a day on the platform's key. Wait until midnight UTC, or add your own key in Settings > API Keys: own keys have no such limit.":
    'Dein Tarif ({tier}) erlaubt {n} Anfragen pro Tag über den Schlüssel der Plattform. Warte bis Mitternacht (UTC), oder füge in den Einstellungen unter „API-Schlüssel“ einen eigenen hinzu: Eigene Schlüssel haben kein solches Limit.',
  "Your tier ({tier}) allows {n} requests a day on the platform's key. Wait until midnight UTC, or change to a plan with own keys and add yours: own keys have no such limit.":
    'Dein Tarif ({tier}) erlaubt {n} Anfragen pro Tag über den Schlüssel der Plattform. Warte bis Mitternacht (UTC), oder wechsle zu einem Tarif mit eigenen Schlüsseln und füge deinen hinzu: Eigene Schlüssel haben kein solches Limit.',
  'There is no platform key of {name} for this request, and you have no {same} key. Add yours in Settings > API Keys.':
    'Die Plattform hat für diese Anfrage keinen Schlüssel von {name}, und du hast auch keinen. Füge deinen in den Einstellungen unter „API-Schlüssel“ hinzu.',
  'There is no platform key of {name} for this request, and your plan does not include own keys. With a plan that includes them you can add yours in Settings > API Keys.':
    'Die Plattform hat für diese Anfrage keinen Schlüssel von {name}, und dein Tarif enthält keine eigenen Schlüssel. Mit einem Tarif, der sie enthält, kannst du deinen in den Einstellungen unter „API-Schlüssel“ hinzufügen.',
  'Your {name} key is kept, but your plan does not include own keys now. With a plan that includes them it works again as it is (Settings > Plan and limits){next}.':
    'Dein Schlüssel von {name} ist gespeichert, aber dein Tarif enthält gerade keine eigenen Schlüssel. Mit einem Tarif, der sie enthält, funktioniert er wieder (Einstellungen, „Tarif und Limits“).',
  'The monthly budget of your {name} key is used up. Raise it in Settings > API Keys, or wait until the month ends (UTC).':
    'Das Monatsbudget deines Schlüssels von {name} ist verbraucht. Erhöhe es in den Einstellungen unter „API-Schlüssel“, oder warte, bis der Monat endet (UTC).',
  'This request may cost up to {amount}, and {left} of the monthly budget of your {name} key ({limit}) is left. {lower} the budget in Settings > API Keys, or wait until {day} (UTC).':
    'Diese Anfrage kann bis zu {amount} kosten, und vom Monatsbudget deines Schlüssels von {name} ({limit}) sind {left} übrig. Erhöhe das Budget in den Einstellungen unter „API-Schlüssel“, wähle ein günstigeres Modell, oder warte bis {day} (UTC).',
  '{which} has no known price, so this request cannot be held to the monthly budget of your {name} key. {rest}':
    'Der Preis des Modells ist nicht bekannt, deshalb lässt sich diese Anfrage nicht am Monatsbudget deines Schlüssels von {name} messen. Wähle ein anderes Modell, lass das Budget nur Bescheid geben (Einstellungen, „API-Schlüssel“), oder bitte deine Administration, den Preis einzutragen.',
  "You allow {most} requests a day on the platform's key in place of your own, and today's are used. Wait until midnight UTC, or look after your {name} key or this cap in Settings > API Keys.":
    'Du erlaubst {most} Anfragen am Tag über den Schlüssel der Plattform anstelle deines eigenen, und die von heute sind verbraucht. Warte bis Mitternacht UTC, oder kümmere dich in den Einstellungen unter „API-Schlüssel“ um deinen Schlüssel von {name} oder um diese Grenze.',
  "Your own {name} key does not answer, and you allow no requests on the platform's key in its place. Look after the key, or change that, in Settings > API Keys.":
    'Dein eigener Schlüssel von {name} funktioniert nicht, und du erlaubst an seiner Stelle keine Anfragen über den Schlüssel der Plattform. Kümmere dich um den Schlüssel, oder ändere das, in den Einstellungen unter „API-Schlüssel“.',
  'There is no such key to restore any more.': 'Dieser Schlüssel lässt sich nicht mehr wiederherstellen.',
  'Your {name} key cannot be used: {why} (Settings > API Keys).':
    'Dein Schlüssel von {name} lässt sich nicht benutzen. Was zu tun ist, steht in den Einstellungen unter „API-Schlüssel“.',
  'Your {name} key cannot be used at the moment. Settings > API Keys says what to do.':
    'Dein Schlüssel von {name} lässt sich gerade nicht benutzen. Was zu tun ist, steht in den Einstellungen unter „API-Schlüssel“.',
  "The platform's {name} key is at the provider's own limit. Try again shortly, or {own}.":
    'Der {name}-Schlüssel der Plattform ist am Limit des Anbieters. Versuche es gleich noch einmal, oder benutze einen eigenen Schlüssel.',
  "The platform's {name} key does not work at the moment; the administrators have been told. Try again later, or {own}.":
    'Der {name}-Schlüssel der Plattform funktioniert gerade nicht; die Administration weiß Bescheid. Versuche es später wieder, oder benutze einen eigenen Schlüssel.',
  'The model "{model}" is not available on the platform\'s key. {which} GET /v1/models lists them. With your own key you can use any.':
    'Das Modell „{model}“ gibt es über den Schlüssel der Plattform nicht. Wähle ein anderes; mit einem eigenen Schlüssel kannst du jedes benutzen.',

  // Conversations
  'A conversation needs a title.': 'Eine Unterhaltung braucht einen Titel.',
  'One line, without control characters.': 'Eine Zeile, ohne Steuerzeichen.',
};

export const de = { messages: {}, sentences: { ...answers, ...catalog } };
