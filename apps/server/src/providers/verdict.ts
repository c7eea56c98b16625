/** Turns what a provider answered to a check into a verdict and one of a fixed list of sentences; DESIGN.md's "A check gives". */
import type { AskAnswer, CheckResult, Provider } from './provider.ts';
import { fields } from './reading.ts';

/** What a check can learn. */
export type Finding =
  | 'works'
  | 'rate_limited'
  | 'not_allowed'
  | 'no_model'
  | 'bad_key'
  | 'no_credit'
  | 'down'
  | 'unexpected'
  | 'unreachable'
  | 'too_slow';

type Named = Pick<Provider, 'name' | 'keysUrl'>;

interface Sentence {
  status: CheckResult['status'];
  /** The owner has nothing to do, so it is not kept. */
  passes?: true;
  say(provider: Named): string;
}

const later = 'A saved key is checked again by itself within minutes.';

const sentences: Record<Finding, Sentence> = {
  works: { status: 'valid', passes: true, say: ({ name }) => `The key works: ${name} accepts it.` },
  rate_limited: {
    status: 'valid',
    passes: true,
    say: ({ name }) => `The key works. ${name} is slowing it down just now because it is used a lot; that passes by itself.`,
  },
  not_allowed: {
    status: 'valid',
    say: ({ name, keysUrl }) =>
      `The key is genuine, but ${name} limits what it may do, or from where. If requests fail, look at the permissions, allowed addresses and organisation of the key at ${keysUrl}.`,
  },
  no_model: {
    status: 'valid',
    say: ({ name, keysUrl }) =>
      `The key is genuine, but ${name} offers it none of the models that we tried. Look at ${keysUrl} which models its workspace may use.`,
  },
  bad_key: {
    status: 'invalid',
    say: ({ name, keysUrl }) =>
      `${name} does not accept this key: it is mistyped, deleted or expired. Make a new key at ${keysUrl} and paste the whole of it.`,
  },
  no_credit: {
    status: 'no_credit',
    say: ({ name }) =>
      `${name} knows this key, but its account has no credit left or has reached its spending limit. Add credit or raise the limit in your ${name} account under Billing.`,
  },
  down: {
    status: 'unverified',
    say: ({ name }) => `${name} has trouble just now, so the key could not be checked. You need not do anything. ${later}`,
  },
  unexpected: {
    status: 'unverified',
    say: ({ name }) =>
      `The answer to our check was not one that we know from ${name}, so nothing is known about the key. ${later} If this lasts, ask your administrator to check the address that is set for ${name}.`,
  },
  unreachable: {
    status: 'unverified',
    say: ({ name }) =>
      `This server could not reach ${name}, so the key could not be checked. ${later} If this lasts, ask your administrator to check the server's network.`,
  },
  too_slow: {
    status: 'unverified',
    say: ({ name }) => `${name} took too long to answer, so the key could not be checked. You need not do anything. ${later}`,
  },
};

/** Everything that a check can learn, for those who go through all of it. */
export const findings = Object.keys(sentences) as Finding[];

export function verdict(provider: Named, finding: Finding): CheckResult {
  const { status, passes, say } = sentences[finding];
  const message = say(provider);
  return { status, message, lastError: passes ? null : message };
}

/** The verdict on an answer to a request that any genuine key may make. */
export function verdictOn(provider: Provider, answer: AskAnswer): CheckResult {
  return verdict(provider, findingIn(provider, answer));
}

function findingIn(provider: Provider, { status, body }: AskAnswer): Finding {
  const outcome = provider.classify(status, body);
  switch (outcome) {
    case 'ok':
      return 'works';
    // A 401 or 403 page of some proxy on the way says nothing about the key; the providers' own always say why.
    case 'not_allowed':
      return typeof fields(fields(body).error).message === 'string' ? 'not_allowed' : 'unexpected';
    // Our own request is at fault, or not the provider answered: whether the key works was never looked at.
    case 'refused':
      return 'unexpected';
    case 'down':
      return status >= 400 ? 'down' : 'unexpected';
    default:
      return outcome;
  }
}
