import type { ProviderRecord } from '../oracle/types.ts';
import type { ProviderId } from '../types.ts';
import { NetworkError } from './errors.ts';
import type { ProviderDescription, ProviderRegistration } from './messages.ts';
import type { Signed } from './signed.ts';

/** What failure domains and deadlines are made of: placement relies on it, and the operator let the provider in with it. */
const MARKS = ['region', 'site', 'operator', 'networkPrefix', 'storageClass'] as const;
const WORDS: Readonly<Record<(typeof MARKS)[number], string>> = {
  region: 'region',
  site: 'site',
  operator: 'operator',
  networkPrefix: 'network prefix',
  storageClass: 'storage class',
};
/** What is asked for stays as it is for so long, so that an operator approves what was shown. */
const ASKED_MS = 3_600_000;

interface Asked {
  readonly statement: Signed;
  readonly value: ProviderRegistration;
  readonly at: number;
}

/** The marks that differ, in words; undefined where none does. */
export function otherMarks(known: ProviderDescription, said: ProviderDescription): string | undefined {
  const others = MARKS.filter((mark) => known[mark] !== said[mark]);
  if (others.length === 0) return undefined;
  return others.map((mark) => `${WORDS[mark]} ${said[mark]} instead of ${known[mark]}`).join(', ');
}

/**
 * Providers that were let in and state other marks since, without a token: what each asks for waits here for the operator. In memory only: the
 * provider says it again.
 */
export class MarkChanges {
  readonly #asked = new Map<ProviderId, Asked>();

  /** @returns what to tell the provider */
  ask(known: ProviderRecord, { statement, value }: Omit<Asked, 'at'>, now: number): NetworkError {
    const before = this.of(known);
    if (before === undefined || Math.abs(now - before.at) >= ASKED_MS) {
      this.#asked.set(known.id, { statement, value, at: now });
    }
    return new NetworkError(
      'NotApproved',
      `this provider was let in otherwise and states ${otherMarks(known.description, value.description)}: that takes a new join token, or the operator's approval`,
    );
  }

  /** What still differs from what is known: it may have been let in with a token since, or have said something newer. */
  of({ id, description, statedAt }: ProviderRecord): Asked | undefined {
    const asked = this.#asked.get(id);
    if (asked === undefined) return undefined;
    const differs = otherMarks(description, asked.value.description) !== undefined;
    if (differs && asked.value.at > statedAt) return asked;
    this.#asked.delete(id);
    return undefined;
  }

  describe(record: ProviderRecord): string | undefined {
    const asked = this.of(record);
    if (asked === undefined) return undefined;
    return `asks for ${otherMarks(record.description, asked.value.description)}: approve it, or give it a join token`;
  }
}
