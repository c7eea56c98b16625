import type { InjectionKey } from 'vue';

/** Opens the conversations where the screen has no place for them beside the page. */
export const openDrawer: InjectionKey<() => void> = Symbol('openDrawer');
