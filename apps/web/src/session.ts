/** Who is signed in. The session itself is a cookie that no script can read; here is only what the server says about it. */
import { type AnnouncementView, AppError, type Instance, type Me, type Problem as RestProblem } from '@synthstack/core';
import { defineStore } from 'pinia';
import { ref, shallowRef } from 'vue';
import { api } from './api.ts';
import { setTimeZone, t } from './i18n/i18n.ts';
import { tellOtherTabs } from './other-tabs.ts';
import { passkeyAnswer } from './passkeys.ts';
import { usePreferences } from './preferences.ts';
import { unreachable } from './problem.ts';

export const useSession = defineStore('session', () => {
  const me = shallowRef<Me | null>(null);
  const instance = shallowRef<Instance | null>(null);
  /** What administrators tell everybody, as far as this person has not closed it. */
  const announcements = shallowRef<AnnouncementView[]>([]);
  const loaded = ref(false);
  /** The session came to its end while the page was open, so the sign-in page says so. */
  const ended = ref(false);
  /** ... and a key that somebody was saving went with it. */
  const keyLost = ref(false);
  /** The account that was here was deleted, so the sign-in page says that it is. */
  const removed = ref(false);

  /** Asks the server; rejects if it cannot be reached. */
  async function load(): Promise<void> {
    const [about, { me: who, announcements: told }] = await Promise.all([api.accounts.instance.query(), api.accounts.who.query()]);
    // Before anything is shown, so that no page changes its language under one's eyes.
    await usePreferences().adopt(who?.locale ?? null);
    instance.value = about;
    announcements.value = told;
    become(who);
    loaded.value = true;
    if (who) renew();
  }

  /** What the server says about who is signed in, from now on. */
  function become(who: Me | null): void {
    me.value = who;
    setTimeZone(who?.timezone ?? null);
  }

  async function closeAnnouncement(id: string): Promise<void> {
    await api.announcements.close.mutate({ id });
    announcements.value = announcements.value.filter((one) => one.id !== id);
  }

  /** What cannot be asked for now stays as it is. */
  async function refreshAnnouncements(): Promise<void> {
    if (!me.value) return;
    const told = await api.announcements.current.query().catch(() => null);
    if (told) announcements.value = told.announcements;
  }

  /** @param code  of the second factor. Without one that it asks for, this rejects with `second_factor_required`. */
  async function signIn(email: string, password: string, code?: string): Promise<void> {
    await auth('sign-in/email', { email, password, ...(code && { code }) });
    await entered();
  }

  /** Rejects also where the person lets the browser's question go by. */
  async function signInWithPasskey(): Promise<void> {
    const response = await passkeyAnswer(await auth('passkey/options', {}));
    await auth('passkey/sign-in', { response });
    await entered();
  }

  /** @returns false: the account is made, and its owner must confirm the address before signing in */
  async function signUp(name: string, email: string, password: string): Promise<boolean> {
    if ((await auth('sign-up/email', { name, email, password })).confirm === true) return false;
    await entered();
    return true;
  }

  async function entered(): Promise<void> {
    ended.value = false;
    keyLost.value = false;
    removed.value = false;
    await load();
    tellOtherTabs('session');
  }

  /** Even if the server cannot be told, this page forgets who was here; the caller says so. */
  async function signOut(): Promise<void> {
    await auth('sign-out', {});
    me.value = null;
    ended.value = false;
    tellOtherTabs('session');
  }

  /**
   * Everybody else who is signed in with the old password is signed out.
   * @returns how many sessions that were; null: not known
   */
  async function changePassword(currentPassword: string, newPassword: string): Promise<number | null> {
    const { ended: others } = await auth('change-password', { currentPassword, newPassword });
    return typeof others === 'number' ? others : null;
  }

  /** @param shown  that it is still the same person who sits here. Rejects with the server's error */
  async function remove(shown: { password?: string; code?: string }): Promise<void> {
    await api.accounts.remove.mutate(shown);
    removed.value = true;
    me.value = null;
    ended.value = false;
    tellOtherTabs('session');
  }

  function end(): void {
    if (!me.value) return;
    me.value = null;
    ended.value = true;
  }

  return {
    ...{ me, instance, announcements, loaded, ended, keyLost, removed, load, become },
    ...{ signIn, signInWithPasskey, signUp, signOut, changePassword, remove, end, closeAnnouncement, refreshAnnouncements },
  };
});

/** Only better-auth's own answer sends a cookie that lasts longer. Nobody waits for it, and the next page asks again. */
function renew(): void {
  fetch('/api/auth/get-session')
    .then((answer) => answer.text())
    .catch(() => undefined);
}

/** better-auth's routes under /api/auth, as plain JSON; the server turns their refusals into problems of ours (RFC 9457). */
async function auth(route: string, body: Record<string, unknown>): Promise<Record<string, unknown>> {
  const answer = await fetch(`/api/auth/${route}`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(body),
  }).catch(() => null);
  if (!answer) throw new AppError('internal', unreachable().message);
  if (answer.ok) return (await answer.json().catch(() => null)) ?? {};
  const problem = (await answer.json().catch(() => null)) as RestProblem | null;
  if (!problem?.detail) throw new AppError('internal', t('common.failed'));
  const retryAfterMs = Number(answer.headers.get('retry-after')) * 1_000 || undefined;
  throw new AppError(problem.code, problem.detail, { errors: problem.errors, ...(retryAfterMs && { retryAfterMs }) });
}
