/** Completion for shells, made from the table of commands: it knows what the program knows, and nothing twice. */
import { type Command, commandTable, wrongUsage } from './cli.ts';

const shells = ['bash', 'zsh', 'fish'] as const;

interface Known {
  name: string;
  summary: string;
  options: string[];
  takesFile: boolean;
}

export const completion: Command = {
  summary: 'Print what a shell needs to complete commands and options.',
  usage: 'completion bash|zsh|fish',
  words: shells,
  async run({ files: [shell], out }) {
    const known = await Promise.all(Object.entries(commandTable).map(async ([name, load]) => knownOf(name, await load())));
    if (shell === 'bash') out(bash(known));
    else if (shell === 'zsh') out(zsh(known));
    else if (shell === 'fish') out(fish(known));
    else throw wrongUsage(shell === undefined ? 'Name the shell: bash, zsh or fish.' : `There is no completion for "${shell}".`);
    return 0;
  },
};

function knownOf(name: string, { summary, options = {}, files = 0, words }: Command): Known {
  const takes = [...Object.keys(options), 'help'].map((option) => `--${option}`);
  return { name, summary, options: [...takes, ...(words ?? [])], takesFile: files > 0 };
}

/** What may stand after these words: the next word of a command, or a command's options. */
function nextWords(known: readonly Known[]): [after: string, words: string[], takesFile: boolean][] {
  const heads = new Map<string, Set<string>>();
  for (const { name } of known) {
    const words = name.split(' ');
    words.forEach((word, i) => {
      const after = words.slice(0, i).join(' ');
      heads.set(after, (heads.get(after) ?? new Set()).add(word));
    });
  }
  return [
    ...[...heads].map(([after, words]): [string, string[], boolean] => [after, [...words], false]),
    ...known.map(({ name, options, takesFile }): [string, string[], boolean] => [name, options, takesFile]),
  ];
}

/** The words of `cur`'s command: all before it that are no options. */
function bash(known: readonly Known[]): string {
  const cases = nextWords(known).map(
    ([after, words, takesFile]) => `    '${after}') words='${words.join(' ')}'${takesFile ? ' files=1' : ''} ;;`,
  );
  return `# byok completion for bash: source <(byok completion bash)
_byok() {
  local cur="\${COMP_WORDS[COMP_CWORD]}" said='' words='' files='' i
  for ((i = 1; i < COMP_CWORD; i++)); do
    [[ "\${COMP_WORDS[i]}" == -* ]] && continue
    case "\${said:+$said }\${COMP_WORDS[i]}" in
      ${heads(known)}) said="\${said:+$said }\${COMP_WORDS[i]}" ;;
    esac
  done
  case "$said" in
${cases.join('\n')}
  esac
  COMPREPLY=($(compgen -W "$words" -- "$cur"))
  [[ -n "$files" && "$cur" != -* ]] && COMPREPLY+=($(compgen -f -- "$cur"))
  return 0
}
complete -F _byok byok`;
}

function zsh(known: readonly Known[]): string {
  const cases = nextWords(known).map(
    ([after, words, takesFile]) => `    '${after}') compadd -- ${words.join(' ')}${takesFile ? '; _files' : ''} ;;`,
  );
  return `#compdef byok
# byok completion for zsh: source <(byok completion zsh)
_byok() {
  local said='' word
  for word in "\${(@)words[2,CURRENT-1]}"; do
    [[ "$word" == -* ]] && continue
    case "\${said:+$said }$word" in
      ${heads(known)}) said="\${said:+$said }$word" ;;
    esac
  done
  case "$said" in
${cases.join('\n')}
  esac
}
compdef _byok byok`;
}

function heads(known: readonly Known[]): string {
  const all = new Set(known.flatMap(({ name }) => name.split(' ').map((_word, i, words) => words.slice(0, i + 1).join(' '))));
  return [...all].map((head) => `'${head}'`).join('|');
}

function fish(known: readonly Known[]): string {
  const quoted = (text: string) => `'${text.replaceAll("'", "\\'")}'`;
  const groups = new Set(
    known
      .map(({ name }) => name.split(' '))
      .filter((words) => words.length > 1)
      .map(([group = '']) => group),
  );
  const lines = known.flatMap(({ name, summary, options, takesFile }) => {
    const [first = '', second] = name.split(' ');
    const isIt =
      second === undefined
        ? `__fish_seen_subcommand_from ${first}`
        : `__fish_seen_subcommand_from ${first}; and __fish_seen_subcommand_from ${second}`;
    const begins =
      second === undefined
        ? '__fish_use_subcommand'
        : `__fish_seen_subcommand_from ${first}; and not __fish_seen_subcommand_from ${secondsOf(known, first)}`;
    const of = options.map(
      (option) => `complete -c byok -n ${quoted(isIt)} ${option.startsWith('--') ? `-l ${option.slice(2)}` : `-a ${option}`}`,
    );
    const files = takesFile ? [`complete -c byok -n ${quoted(isIt)} -F`] : [];
    return [`complete -c byok -n ${quoted(begins)} -a ${second ?? first} -d ${quoted(summary)}`, ...of, ...files];
  });
  const group = [...groups].map((one) => `complete -c byok -n '__fish_use_subcommand' -a ${one}`);
  return ['# byok completion for fish: byok completion fish | source', 'complete -c byok -f', ...group, ...lines].join('\n');
}

const secondsOf = (known: readonly Known[], first: string): string =>
  known.flatMap(({ name }) => (name.startsWith(`${first} `) ? [name.slice(first.length + 1)] : [])).join(' ');
