/** Lists and limits of which the contracts are made. A file of their own, without zod, so that a page that needs no more does not load it. */

export const providerIds = ['openai', 'anthropic'] as const;
export const keySources = ['user', 'platform'] as const;

/**
 * How a request ended. `ok`: it was answered in full, with a 2xx; `failed`: it ended otherwise; `open`: it has not ended yet. Of all
 * three: `fallback`: the user's own key was not used although there is one; `estimated`: its usage was worked out, not told.
 */
export const outcomes = ['ok', 'failed', 'fallback', 'estimated', 'open'] as const;

/** Of a message, in characters. */
export const maxContent = 100_000;
export const maxAttachments = 5;
/** In all files of a message. */
export const maxAttachmentBytes = 200_000;
/** Turns that a chat which is kept nowhere may send along, and the characters in all of them. */
export const maxHistory = 200;
export const maxHistoryContent = 4 * maxContent;
