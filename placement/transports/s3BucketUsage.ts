/**
 * Bytes that shards take in a bucket: counted once from its list, kept from then on. What other gateways put into the same bucket meanwhile
 * is found at the next start.
 */
export class BucketUsage {
  readonly #pages: () => AsyncIterable<readonly { readonly key: string; readonly size: number }[]>;
  #used = 0;
  #reserved = 0;
  #state: 'new' | 'counting' | 'counted' = 'new';
  /** The last key that was counted. */
  #cursor = '';
  #counting: Promise<void> | undefined;

  /** @param pages every stored shard, in order of key */
  constructor(pages: () => AsyncIterable<readonly { readonly key: string; readonly size: number }[]>) {
    this.#pages = pages;
  }

  get bytes(): number {
    return this.#used + this.#reserved;
  }

  get isCounted(): boolean {
    return this.#state === 'counted';
  }

  /** Resolves when all has been counted. */
  count(): Promise<void> {
    this.#counting ??= this.#count().catch((error: unknown) => {
      this.#counting = undefined;
      throw error;
    });
    return this.#counting;
  }

  /** For a shard on its way, until what this returns is called. */
  reserve(bytes: number): () => void {
    this.#reserved += bytes;
    return () => {
      this.#reserved -= bytes;
    };
  }

  /** A shard has come, or gone with a negative number of bytes. */
  add(key: string, bytes: number): void {
    // The list under way is still to come to the keys behind its cursor.
    if (this.#state === 'counted' || (this.#state === 'counting' && key <= this.#cursor)) {
      this.#used = Math.max(0, this.#used + bytes);
    }
  }

  async #count(): Promise<void> {
    this.#state = 'counting';
    this.#used = 0;
    this.#cursor = '';
    try {
      for await (const page of this.#pages()) {
        for (const { size } of page) this.#used += size;
        this.#cursor = page.at(-1)?.key ?? this.#cursor;
      }
      this.#state = 'counted';
    } catch (error) {
      this.#state = 'new';
      throw error;
    }
  }
}
