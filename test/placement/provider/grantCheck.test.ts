import { randomBytes } from 'node:crypto';
import { expect, test } from 'vitest';
import { NetworkError } from '../../../placement/network/errors.ts';
import type { Grant } from '../../../placement/network/grants.ts';
import { createIdentity } from '../../../placement/network/identity.ts';
import {
  GRANT_MS_MAX,
  issueGrant,
  MONITOR_GRANT_MS_MAX,
  useGrant,
} from '../../../placement/network/issueGrant.ts';
import { GrantChecker, type GrantRequest } from '../../../placement/provider/grantCheck.ts';
import { NonceMemory } from '../../../placement/provider/nonceMemory.ts';
import { ManualClock } from '../manualClock.ts';

const START = 1_800_000_000_000;
const gateway = createIdentity();
const monitor = createIdentity();
const provider = createIdentity().id;
const session = randomBytes(16).toString('hex');
const shard = `${'ab'.repeat(16)}.3`;

function newChecker(noncesMax = 100): { checker: GrantChecker; clock: ManualClock } {
  const clock = new ManualClock(START);
  return { checker: new GrantChecker({ provider, session, gateway, clock, noncesMax }), clock };
}

const FIELDS: Omit<Grant, 'v' | 'nonce'> = {
  op: 'get',
  holder: gateway.id,
  provider,
  shard,
  size: 4,
  expires: START + 60_000,
  session,
};

function issue(fields: Partial<Grant> = {}): { text: string; nonce: string } {
  return issueGrant(gateway, { ...FIELDS, ...fields });
}

/** A grant for a monitor names no session: its use does. */
function issueToMonitor(): { text: string; nonce: string } {
  const { session: _, ...fields } = FIELDS;
  return issueGrant(gateway, { ...fields, holder: monitor.id });
}

/** What becomes of a grant: 'accepted', or why not. */
function outcome(checker: GrantChecker, text: string, request: Partial<GrantRequest> = {}): string {
  const authorization = `Shardway ${text}`;
  try {
    checker.accept({ authorization, use: undefined, op: 'get', shard, size: 4, ...request });
    return 'accepted';
  } catch (error) {
    if (error instanceof NetworkError && error.kind === 'Refused') return error.message;
    throw error;
  }
}

test('a grant is accepted, and a replayed one is refused', () => {
  const { checker } = newChecker();
  const { text } = issue();
  expect(outcome(checker, text)).toBe('accepted');
  expect(outcome(checker, text)).toBe('the grant was used before');
});

test('an altered grant is refused, whichever byte it is', () => {
  const { checker } = newChecker();
  const [json, signature] = issue().text.split('.') as [string, string];
  const bytes = Buffer.from(json, 'base64url');
  for (let at = 0; at < bytes.length; at++) {
    const altered = Buffer.from(bytes);
    altered[at]! ^= 1;
    expect(outcome(checker, `${altered.toString('base64url')}.${signature}`)).toMatch(
      /not signed by the gateway/,
    );
  }
  const wider = JSON.stringify({ ...(JSON.parse(bytes.toString()) as Grant), size: 1e9 });
  expect(outcome(checker, `${Buffer.from(wider).toString('base64url')}.${signature}`)).toMatch(/not signed/);
});

test('an expired grant is refused, and one that expires too far ahead', () => {
  const { checker, clock } = newChecker();
  const { text } = issue();
  clock.advance(60_000);
  expect(outcome(checker, text)).toBe('the grant has expired');
  const far = issue({ expires: clock.now() + GRANT_MS_MAX + 1 });
  expect(outcome(checker, far.text)).toBe('the grant expires too far ahead');
  expect(outcome(checker, issue({ expires: clock.now() + GRANT_MS_MAX }).text)).toBe('accepted');
});

test('a grant of a monitor may last an era, and not longer', () => {
  const { checker } = newChecker();
  const { session: _, ...fields } = FIELDS;
  for (const [ahead, expected] of [
    [MONITOR_GRANT_MS_MAX, 'accepted'],
    [MONITOR_GRANT_MS_MAX + 1, 'the grant expires too far ahead'],
  ] as const) {
    const { text, nonce } = issueGrant(gateway, { ...fields, holder: monitor.id, expires: START + ahead });
    expect(outcome(checker, text, { use: useGrant(monitor, nonce, session) })).toBe(expected);
  }
});

test('a used grant stays refused when the clock goes back', () => {
  const { checker, clock } = newChecker();
  const { text } = issue();
  expect(outcome(checker, text)).toBe('accepted');
  clock.advance(300_000);
  expect(outcome(checker, issue({ expires: clock.now() + 60_000 }).text)).toBe('accepted');
  clock.advance(-300_000);
  expect(outcome(checker, text)).toBe('the grant has expired');
});

test('a grant for another provider, operation, shard or size is refused', () => {
  const { checker } = newChecker();
  expect(outcome(checker, issue({ provider: createIdentity().id }).text)).toMatch(/another provider/);
  expect(outcome(checker, issue().text, { op: 'delete' })).toBe('the grant is for get, not for delete');
  expect(outcome(checker, issue().text, { shard: `${'ab'.repeat(16)}.4` })).toMatch(/another shard/);
  expect(outcome(checker, issue().text, { op: 'get', shard: undefined })).toMatch(/another shard/);
  expect(outcome(checker, issue().text, { size: 5 })).toBe('the grant is for 4, not for 5');
});

test('a grant of another gateway is refused', () => {
  const { checker } = newChecker();
  expect(outcome(checker, issueGrant(createIdentity(), FIELDS).text)).toMatch(/not signed by the gateway/);
});

test('a grant for an earlier session, or for none, is refused', () => {
  const { checker } = newChecker();
  const earlier = randomBytes(16).toString('hex');
  expect(outcome(checker, issue({ session: earlier }).text)).toMatch(/earlier run/);
  const { session: _, ...fields } = FIELDS;
  expect(outcome(checker, issueGrant(gateway, fields).text)).toMatch(/names the session/);
  const { text, nonce } = issueToMonitor();
  expect(outcome(checker, text, { use: useGrant(monitor, nonce, earlier) })).toMatch(/earlier run/);
});

test('a holder shows that it is the holder, once', () => {
  const { checker } = newChecker();
  const { text, nonce } = issueToMonitor();
  const use = useGrant(monitor, nonce, session);
  expect(outcome(checker, text, { use })).toBe('accepted');
  expect(outcome(checker, text, { use })).toBe('the grant was used before');
});

test('a borrowed grant is refused', () => {
  const { checker } = newChecker();
  const { text, nonce } = issueToMonitor();
  const thief = createIdentity();
  expect(outcome(checker, text)).toMatch(/has not signed its use/);
  expect(outcome(checker, text, { use: useGrant(thief, nonce, session) })).toMatch(/another than its holder/);
  const [json] = useGrant({ ...thief, publicKey: monitor.publicKey }, nonce, session).split('.') as [string];
  const forged = `${json}.${thief.sign(Buffer.from('x')).toString('base64url')}`;
  expect(outcome(checker, text, { use: forged })).toMatch(/not signed by its holder/);
  const other = issueToMonitor();
  expect(outcome(checker, text, { use: useGrant(monitor, other.nonce, session) })).toMatch(/another grant/);
  expect(outcome(checker, text, { use: 'rubbish' })).toMatch(/two parts/);
  expect(outcome(checker, text, { use: useGrant(monitor, nonce, session) })).toBe('accepted');
});

test('what is not a grant at all is refused', () => {
  const { checker } = newChecker();
  expect(outcome(checker, '', { authorization: undefined })).toBe('no grant is shown');
  expect(outcome(checker, '', { authorization: 'Bearer x' })).toMatch(/not a grant/);
  for (const text of ['', '.', 'a.b', 'e30.e30', '\u00ff.\u00ff', 'a'.repeat(10_000)]) {
    expect(outcome(checker, text)).toMatch(/two parts|not signed/);
  }
  const shapeless = Buffer.from('{"v":2}');
  const signature = gateway.sign(Buffer.concat([Buffer.from('shardway grant\n'), shapeless]));
  const signed = `${shapeless.toString('base64url')}.${signature.toString('base64url')}`;
  expect(outcome(checker, signed)).toMatch(/form/);
});

test('a refused request does not use up the grant', () => {
  const { checker } = newChecker();
  const { text } = issue();
  expect(outcome(checker, text, { size: 5 })).not.toBe('accepted');
  expect(outcome(checker, text)).toBe('accepted');
});

test('grants are refused rather than nonces forgotten, and taken again once some have expired', () => {
  const { checker, clock } = newChecker(3);
  const used = [issue(), issue(), issue()];
  for (const { text } of used) expect(outcome(checker, text)).toBe('accepted');
  expect(() => outcome(checker, issue().text)).toThrow(
    expect.objectContaining({ kind: 'Unavailable' }) as Error,
  );
  for (const { text } of used) expect(outcome(checker, text)).toBe('the grant was used before');
  clock.advance(120_000);
  expect(outcome(checker, issue({ expires: clock.now() + 1000 }).text)).toBe('accepted');
});

test('the memory of nonces holds those that have not expired and no others', () => {
  const memory = new NonceMemory(1000);
  for (let second = 0; second < 3600; second++) {
    const now = START + second * 1000;
    expect(memory.add(`nonce ${second}`, now + 60_000, now)).toBe('added');
    expect(memory.add(`nonce ${second}`, now + 60_000, now)).toBe('known');
    expect(memory.size).toBeLessThanOrEqual(121);
  }
});
