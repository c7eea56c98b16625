import { nextTick } from 'vue';

/** Leads somebody who sent a form to the first field that has a mistake, once the page shows it. */
export async function focusMistake(form: HTMLElement | null): Promise<void> {
  await nextTick();
  form?.querySelector<HTMLElement>('[aria-invalid="true"]')?.focus();
}
