import './csp.ts';
import './styles/quasar.sass';
import './styles/app.scss';
import { PiniaColada } from '@pinia/colada';
import { createPinia } from 'pinia';
import { Quasar } from 'quasar';
import { createApp } from 'vue';
import App from './App.vue';
import { createRoutes } from './routes.ts';

const pinia = createPinia();

createApp(App)
  .use(pinia)
  .use(PiniaColada, { queryOptions: { staleTime: 2_000 } })
  .use(Quasar, { config: { dark: 'auto' } })
  .use(createRoutes(pinia))
  .mount('#app');
