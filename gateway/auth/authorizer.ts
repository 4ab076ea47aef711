import type { Authorizer } from './types.ts';

/** All keys of the one account may do everything; the seam where policies go. */
export function accountAuthorizer(owner: string): Authorizer {
  return { allows: (principal) => principal.owner === owner };
}
