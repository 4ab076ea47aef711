/** The trailers after the last chunk of an aws-chunked body. */
import type { ChunkChain } from './chunkChain.ts';
import { AuthError } from './types.ts';

const SIGNATURE_NAME = 'x-amz-trailer-signature';
const LINE = /^([!#$%&'*+\-.^_`|~0-9A-Za-z]+):[ \t]*([\t\x20-\x7e\x80-\xff]*)$/;

/**
 * Takes the section line by line. Exactly the announced trailers must come, each once, and then, where the body is signed,
 * their signature.
 */
export class TrailerSection {
  readonly #announced: ReadonlySet<string>;
  readonly #chain: ChunkChain | undefined;
  readonly #values = new Map<string, string>();
  #canonical = '';
  #signature: string | undefined;
  #gap = false;

  /** `announced` in any case, as x-amz-trailer lists them. `chain` is given when the section is signed. */
  constructor(announced: readonly string[], chain: ChunkChain | undefined) {
    this.#announced = new Set(
      announced.map((name) => name.trim().toLowerCase()).filter((name) => name !== ''),
    );
    this.#chain = chain;
  }

  /**
   * Takes a line without its end; answers true when it was the last one.
   * @throws AuthError 'MalformedTrailer', 'SignatureDoesNotMatch'
   */
  accept(line: string): boolean {
    if (line !== '') {
      this.#take(line);
      return false;
    }
    // minio-go puts an empty line between the trailers and their signature.
    if (this.#signatureMissing() && !this.#gap) {
      this.#gap = true;
      return false;
    }
    this.finish();
    return true;
  }

  /** Everything that must come has come: then the section may also end without its empty line. */
  get complete(): boolean {
    const empty = this.#announced.size === 0 && this.#chain === undefined;
    return !empty && this.#values.size === this.#announced.size && !this.#signatureMissing();
  }

  /** @throws AuthError 'MalformedTrailer', 'SignatureDoesNotMatch' */
  finish(): void {
    for (const name of this.#announced) {
      if (!this.#values.has(name)) throw malformed(`The trailer ${name} was announced but not sent.`);
    }
    if (this.#chain === undefined) return;
    if (this.#signature === undefined) throw malformed(`The trailer ${SIGNATURE_NAME} is missing.`);
    this.#chain.verifyTrailer(this.#canonical, this.#signature);
  }

  /** Meaningful only once the section has ended. */
  value(name: string): string | undefined {
    return this.#values.get(name);
  }

  #signatureMissing(): boolean {
    return this.#chain !== undefined && this.#signature === undefined;
  }

  #take(line: string): void {
    const match = LINE.exec(line);
    if (match === null) throw malformed('A trailer is not of the form name:value.');
    const name = match[1]!.toLowerCase();
    const value = match[2]!.trimEnd();
    if (this.#signature !== undefined) throw malformed(`A trailer follows ${SIGNATURE_NAME}.`);
    if (name === SIGNATURE_NAME && this.#chain !== undefined) {
      this.#signature = value;
      return;
    }
    if (!this.#announced.has(name))
      throw malformed('A trailer was sent that x-amz-trailer had not announced.');
    if (this.#values.has(name)) throw malformed(`The trailer ${name} was sent twice.`);
    this.#values.set(name, value);
    this.#canonical += `${name}:${value}\n`;
  }
}

export function malformed(message: string): AuthError {
  return new AuthError('MalformedTrailer', message);
}
