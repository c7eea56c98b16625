/** A text of a client's, fit for a line of the log or a sentence. Nearly all are as they are, which costs less to see than to replace. */
export const printable = (text: string): string =>
  shortAndVisible.test(text) ? text : text.slice(0, 100).replaceAll(/[^\x21-\x7e]/g, '?');
const shortAndVisible = /^[\x21-\x7e]{0,100}$/;
