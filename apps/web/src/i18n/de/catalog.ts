/** What the agents that come with the program say of themselves; their names are names. One that an administrator has changed speaks as it was written. */
export const catalog: Readonly<Record<string, string>> = {
  'Coordinates: answers everyday questions, thinks decisions through, and brings in the colleague who knows more.':
    'Behält den Überblick: beantwortet Alltagsfragen, denkt Entscheidungen durch und holt dazu, wer mehr weiß.',
  'Help me plan my week: what should come first, and what can wait?':
    'Hilf mir, meine Woche zu planen: Was kommt zuerst, und was kann warten?',
  'Here is a decision that I have put off. Think it through with me.':
    'Hier ist eine Entscheidung, die ich vor mir herschiebe. Denk sie mit mir durch.',
  'Turn these rough notes into a clear message.': 'Mach aus diesen rohen Notizen eine klare Nachricht.',
  'I have an idea for a product. Whom of you should I talk to first?':
    'Ich habe eine Idee für ein Produkt. Mit wem von euch sollte ich zuerst reden?',
  'Methodical: weighs what is known, names its sources, and says what it does not know.':
    'Methodisch: wägt ab, was bekannt ist, nennt Quellen und sagt, was offen bleibt.',
  'What is really known about this question, and how sure is it?': 'Was weiß man wirklich über diese Frage, und wie sicher ist das?',
  'Compare these two options by the evidence for each.': 'Vergleiche diese beiden Möglichkeiten nach dem, was jeweils dafür spricht.',
  'Find the weak points in this argument.': 'Finde die Schwachstellen in dieser Argumentation.',
  'Design a short survey that tells me what my customers need.': 'Entwirf eine kurze Umfrage, die mir sagt, was meine Kundschaft braucht.',
  'Growth on little money: positioning, campaigns, and content calendars that one can keep.':
    'Wachstum mit wenig Geld: Positionierung, Kampagnen und Redaktionspläne, die man einhalten kann.',
  'Sharpen my positioning: for whom, against what, and why believe it?':
    'Schärfe meine Positionierung: für wen, gegen wen, und warum sollte man es glauben?',
  'Plan a launch with 500 dollars and five hours a week.': 'Plane einen Start mit 500 Dollar und fünf Stunden pro Woche.',
  'Make a content calendar for the next four weeks.': 'Mach einen Redaktionsplan für die nächsten vier Wochen.',
  'Write a welcome e-mail for new users in three variants.':
    'Schreib eine Willkommensmail für neue Nutzerinnen und Nutzer in drei Varianten.',
  'Writes clean, secure and fast code, finds errors, and reviews with care.':
    'Schreibt sauberen, sicheren und schnellen Code, findet Fehler und prüft mit Sorgfalt.',
  'Review this code: correctness first, then security.': 'Prüfe diesen Code: erst auf Richtigkeit, dann auf Sicherheit.',
  'Explain this error message, and how to find its cause.': 'Erkläre diese Fehlermeldung und wie ich ihre Ursache finde.',
  'Design a data model for what I describe.': 'Entwirf ein Datenmodell für das, was ich beschreibe.',
  'Write tests for this function: the edges too.': 'Schreib Tests für diese Funktion: auch für die Randfälle.',
  'Writes pages for what people search: intent first, titles and descriptions that fit.':
    'Schreibt Seiten für das, was Leute suchen: erst die Absicht, dann Titel und Beschreibungen, die passen.',
  'Outline an article on my topic, by search intent.': 'Gliedere einen Artikel zu meinem Thema nach der Suchabsicht.',
  'Write three titles and descriptions for this page.': 'Schreib drei Titel und Beschreibungen für diese Seite.',
  'Improve this text for readers and search engines.': 'Verbessere diesen Text für Menschen und Suchmaschinen.',
  'Which questions should a page on this topic answer?': 'Welche Fragen sollte eine Seite zu diesem Thema beantworten?',
  'Clear hierarchy, accessible to everybody (WCAG), at home on every screen.':
    'Klare Hierarchie, für alle zugänglich (WCAG), auf jedem Bildschirm zu Hause.',
  'Critique this page: what does a visitor see first?': 'Kritisiere diese Seite: Was fällt zuerst ins Auge?',
  'Design a form that is quick to fill in on a phone.': 'Entwirf ein Formular, das man auf dem Telefon schnell ausfüllt.',
  'Make a colour and type system for my product.': 'Mach ein Farb- und Schriftsystem für mein Produkt.',
  'Check this CSS for accessibility.': 'Prüfe dieses CSS auf Barrierefreiheit.',
};
