import type { RotationView } from '@synthstack/core';
import { type Command, type CommandArgs, json } from './cli.ts';
import { createProgress } from './progress.ts';
import { withModules } from './with-modules.ts';

export const keysRotate: Command = {
  summary: 'Seal everything that is stored anew with ENCRYPTION_KEY, while the server works.',
  usage: 'keys rotate [--json]',
  options: { json },
  async run({ values, out, say }) {
    const progress = createProgress('Sealed anew');
    const view = await withModules(({ rotation }) => rotation.run('cli', ({ done, total }) => progress.at(done, total)));
    progress.at(view.done, view.total);
    progress.end();
    if (values.json) out(JSON.stringify(view, null, 2));
    tell(view, say);
    return view.formerKeys.some(({ rows }) => rows > 0) ? 1 : 0;
  },
};

function tell({ masterKeyId, tables, formerKeys, removable }: RotationView, say: CommandArgs['say']): void {
  for (const { table, done, total } of tables.filter((one) => one.total > 0))
    say(`${table}: ${done} of ${total} rows are sealed with ${masterKeyId}.`);
  for (const { masterKeyId: id, rows, isHere } of formerKeys.filter((one) => one.rows > 0)) {
    const why = isHere ? 'they do not open with it: they were changed in the database' : 'it is not in ENCRYPTION_KEY_PREVIOUS';
    say(`${rows} ${rows === 1 ? 'row is' : 'rows are'} still sealed with ${id}, and stay as they are: ${why}.`);
  }
  if (removable.length > 0) say(`Nothing is sealed with ${removable.join(', ')} any more: take it out of ENCRYPTION_KEY_PREVIOUS.`);
  else if (formerKeys.length === 0) say('There is no former master key: to change it, see the operator guide.');
}
