/** Files that go along with a message: plain text, few and small. */
import { type Attachment, maxAttachmentBytes, maxAttachments } from '@synthstack/core';

export type FileMistake = 'tooMany' | 'tooLarge' | 'notText' | 'empty';

/** @returns the files with those that were there before, or why the first that does not fit was left out */
export async function withFiles(
  before: readonly Attachment[],
  files: readonly File[],
): Promise<{ attachments: Attachment[]; mistake: { file: string; why: FileMistake } | null }> {
  const attachments = [...before];
  let bytes = before.reduce((sum, { text }) => sum + bytesOf(text), 0);
  for (const file of files) {
    const refuse = (why: FileMistake) => ({ attachments, mistake: { file: file.name, why } });
    if (attachments.length >= maxAttachments) return refuse('tooMany');
    bytes += file.size;
    if (bytes > maxAttachmentBytes) return refuse('tooLarge');
    const text = await textOf(file);
    if (text === null) return refuse('notText');
    if (text.trim() === '') return refuse('empty');
    attachments.push({ name: nameOf(file), text });
  }
  return { attachments, mistake: null };
}

/** null: it is no text. */
async function textOf(file: File): Promise<string | null> {
  try {
    const text = new TextDecoder('utf-8', { fatal: true }).decode(await file.arrayBuffer());
    return text.includes('\0') ? null : text;
  } catch {
    return null;
  }
}

/** As the contract wants names: what could end a quotation becomes a dash. */
const nameOf = (file: File): string => file.name.replace(/[\p{Cc}"<>]+/gu, '-').slice(0, 200) || 'file.txt';

/** As UTF-8. */
export const bytesOf = (text: string): number => new TextEncoder().encode(text).length;
