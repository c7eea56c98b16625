import './before-libraries.ts';
import './styles/quasar.sass';
import './styles/app.scss';
import { PiniaColada } from '@pinia/colada';
import { createPinia } from 'pinia';
import { Quasar } from 'quasar';
import { createApp } from 'vue';
import App from './App.vue';
import { usePreferences } from './preferences.ts';
import { createRoutes } from './routes.ts';

const pinia = createPinia();

const app = createApp(App)
  .use(pinia)
  .use(PiniaColada, { queryOptions: { staleTime: 2_000 } })
  .use(Quasar, { config: { dark: 'auto' } });
// Not awaited at the top level: that would hold up the files that this one has in common with the pages.
usePreferences(pinia)
  .apply()
  .then(nextTask)
  .then(() => app.use(createRoutes(pinia)).mount('#app'));

/** A slow phone does something else in between: two shorter tasks hold up less than one. */
function nextTask(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve));
}
