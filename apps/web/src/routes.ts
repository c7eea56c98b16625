/** The pages and who may open them. Each page is a file of its own, loaded when it is first opened. */
import type { Pinia } from 'pinia';
import { watchEffect } from 'vue';
import { createRouter, createWebHistory, type RouteRecordRaw, type Router, START_LOCATION } from 'vue-router';
import { loadTexts, type Part, type TextKey, t } from './i18n/i18n.ts';
import { useSession } from './session.ts';

declare module 'vue-router' {
  interface RouteMeta {
    title: TextKey;
    /** user: signed in, else the sign-in page comes first · guest: nobody signed in · anyone. */
    for: 'user' | 'guest' | 'anyone';
    /** The part of the product that it belongs to; none: the page stands alone. */
    frame?: 'settings' | 'agents' | 'admin';
  }
}

export const home = '/settings/api-keys';
export const noticesPath = '/settings/notices';
export const agentsHome = '/agents';
export const adminHome = '/admin/agents';
export const adminUsers = '/admin/users';
export const adminPrices = '/admin/prices';
export const signInPath = '/sign-in';

const chatPage = () => import('./pages/ChatPage.vue');
const adminAgentPage = () => import('./pages/AdminAgentPage.vue');

/** A page, and the texts that it alone has; both are asked for at once. */
const withTexts =
  <Page>(load: () => Promise<Page>, ...parts: readonly Part[]) =>
  async (): Promise<Page> => {
    const [page] = await Promise.all([load(), ...parts.map(loadTexts)]);
    return page;
  };

const routes: RouteRecordRaw[] = [
  { path: '/', redirect: home },
  { path: '/settings', redirect: home },
  { path: '/setup', component: () => import('./pages/SetUpPage.vue'), meta: { title: 'account.setUp.shortTitle', for: 'anyone' } },
  { path: signInPath, component: () => import('./pages/SignInPage.vue'), meta: { title: 'account.signIn.title', for: 'guest' } },
  { path: '/sign-up', component: () => import('./pages/SignUpPage.vue'), meta: { title: 'account.signUp.title', for: 'guest' } },
  {
    path: '/forgot-password',
    component: () => import('./pages/ForgotPasswordPage.vue'),
    meta: { title: 'account.forgot.title', for: 'anyone' },
  },
  {
    path: '/reset-password',
    component: withTexts(() => import('./pages/ResetPasswordPage.vue'), 'profile'),
    meta: { title: 'account.reset.title', for: 'anyone' },
  },
  { path: '/verify-email', component: () => import('./pages/VerifyEmailPage.vue'), meta: { title: 'account.verify.title', for: 'anyone' } },
  { path: home, component: () => import('./pages/KeysPage.vue'), meta: { title: 'common.nav.keys', for: 'user', frame: 'settings' } },
  {
    path: '/settings/api-keys/usage',
    component: withTexts(() => import('./pages/UsagePage.vue'), 'usage'),
    meta: { title: 'common.nav.usage', for: 'user', frame: 'settings' },
  },
  {
    path: '/settings/api-keys/history',
    component: withTexts(() => import('./pages/KeyHistoryPage.vue'), 'keyHistory'),
    meta: { title: 'keyHistory.title', for: 'user', frame: 'settings' },
  },
  {
    path: '/settings/tokens',
    component: () => import('./pages/TokensPage.vue'),
    meta: { title: 'common.nav.tokens', for: 'user', frame: 'settings' },
  },
  {
    path: '/settings/plan',
    component: () => import('./pages/PlanPage.vue'),
    meta: { title: 'common.nav.plan', for: 'user', frame: 'settings' },
  },
  {
    path: '/settings/profile',
    component: withTexts(() => import('./pages/ProfilePage.vue'), 'profile'),
    meta: { title: 'profile.title', for: 'user', frame: 'settings' },
  },
  {
    path: noticesPath,
    component: withTexts(() => import('./pages/NoticesPage.vue'), 'notices'),
    meta: { title: 'common.notices', for: 'user', frame: 'settings' },
  },
  {
    path: agentsHome,
    component: withTexts(() => import('./components/AgentsFrame.vue'), 'answers', 'chat'),
    meta: { title: 'agents.title', for: 'user', frame: 'agents' },
    children: [
      { path: '', component: () => import('./pages/AgentsPage.vue') },
      { path: ':slug', component: chatPage, meta: { title: 'chat.title', for: 'user' } },
      { path: '/chat/:id', component: chatPage, meta: { title: 'chat.title', for: 'user' } },
    ],
  },
  {
    // Each of its pages has a line here, and one in AdminFrame.vue, which also turns away who is no administrator.
    path: '/admin',
    component: withTexts(() => import('./components/AdminFrame.vue'), 'admin', 'adminPlatform', 'answers', 'people', 'usage'),
    meta: { title: 'common.admin', for: 'user', frame: 'admin' },
    children: [
      { path: '', redirect: adminHome },
      { path: 'agents', component: () => import('./pages/AdminAgentsPage.vue'), meta: { title: 'admin.agents.title', for: 'user' } },
      // No agent has such a slug.
      { path: 'agents/new-agent', component: adminAgentPage, meta: { title: 'admin.agent.new', for: 'user' } },
      { path: 'agents/:slug', component: adminAgentPage, meta: { title: 'admin.agent.title', for: 'user' } },
      { path: 'users', component: () => import('./pages/AdminUsersPage.vue'), meta: { title: 'people.users.title', for: 'user' } },
      { path: 'users/:id', component: () => import('./pages/AdminUserPage.vue'), meta: { title: 'people.user.title', for: 'user' } },
      { path: 'audit', component: () => import('./pages/AdminAuditPage.vue'), meta: { title: 'people.audit.title', for: 'user' } },
      { path: 'health', component: () => import('./pages/AdminHealthPage.vue'), meta: { title: 'people.health.title', for: 'user' } },
      {
        path: 'notices',
        component: () => import('./pages/AdminAnnouncementsPage.vue'),
        meta: { title: 'people.announcements.title', for: 'user' },
      },
      { path: 'prices', component: () => import('./pages/AdminPricesPage.vue'), meta: { title: 'admin.prices.title', for: 'user' } },
      {
        path: 'limits',
        component: () => import('./pages/AdminLimitsPage.vue'),
        meta: { title: 'adminPlatform.limits.title', for: 'user' },
      },
      {
        path: 'platform-keys',
        component: () => import('./pages/AdminPlatformKeysPage.vue'),
        meta: { title: 'adminPlatform.keys.title', for: 'user' },
      },
      { path: 'usage', component: () => import('./pages/AdminUsagePage.vue'), meta: { title: 'adminPlatform.usage.title', for: 'user' } },
    ],
  },
  { path: '/:lost(.*)*', component: () => import('./pages/LostPage.vue'), meta: { title: 'common.lost.title', for: 'anyone' } },
];

export function createRoutes(pinia: Pinia): Router {
  const router = createRouter({
    history: createWebHistory(),
    routes,
    // What a page keeps in its query (a range, filters) changes the page, not the place in it. The first page is at its top already.
    scrollBehavior: (to, from, saved) => saved ?? (from === START_LOCATION || to.path === from.path ? false : { top: 0 }),
  });

  router.beforeEach(async (to) => {
    const session = useSession(pinia);
    // Rejects where the server cannot be reached: App.vue says so, and how to go on.
    if (!session.loaded) await session.load();
    if (to.meta.for === 'user' && !session.me) return signInFrom(to.fullPath);
    if (to.meta.for === 'guest' && session.me) return backFrom(to.query.back);
    if (to.path === '/sign-up' && !session.instance?.signUp) return signInPath;
    return true;
  });
  // Again when the language changes.
  watchEffect(() => {
    const { title } = router.currentRoute.value.meta;
    document.title = title ? `${t(title)} · ${t('common.product')}` : t('common.product');
  });
  return router;
}

export function signInFrom(fullPath: string) {
  return { path: signInPath, query: fullPath === home ? {} : { back: fullPath } };
}

/** Where somebody was before signing in. Only paths of this page: the address may come from a stranger's link. */
export function backFrom(back: unknown): string {
  // No control characters: browsers leave some of them out, and `/\t/evil.example` would be another server's.
  return typeof back === 'string' && /^\/(?![/\\])\P{Cc}*$/u.test(back) ? back : home;
}
