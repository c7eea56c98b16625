import { inspect } from 'node:util';

const printed = '[secret]';

/**
 * A plaintext that must not be printed. Every way in which JavaScript turns a value into text gives `[secret]`;
 * the one way to the text is `expose`, and architecture.test.ts says where that may be called.
 */
export class Secret {
  readonly #text: string;

  constructor(text: string) {
    this.#text = text;
  }

  expose(): string {
    return this.#text;
  }

  /** The part that people may see, as `****...abc1`. A text of fewer than 16 characters, shorter than any key, shows nothing. */
  get hint(): string {
    return hintOf(this.#text.length >= 16 ? this.#text.slice(-4) : '');
  }

  toString(): string {
    return printed;
  }

  toJSON(): string {
    return printed;
  }

  [Symbol.toPrimitive](): string {
    return printed;
  }

  [inspect.custom](): string {
    return printed;
  }
}

const hintOf = (lastFour: string): string => `****...${lastFour}`;
