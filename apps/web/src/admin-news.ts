import type { InjectionKey } from 'vue';

/** Lets a page of Administration say on another, to which it leads, what it has done. */
export const tellNews: InjectionKey<(path: string, text: string) => void> = Symbol('tell news');
