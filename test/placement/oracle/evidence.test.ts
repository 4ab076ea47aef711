import { describe, expect, test } from 'vitest';
import { createHasher, LEAF_BYTES } from '#erasure';
import { challengeOf } from '../../../placement/network/beacon.ts';
import { createIdentity } from '../../../placement/network/identity.ts';
import type { AuditOutcome } from '../../../placement/network/messages.ts';
import { signStatement } from '../../../placement/network/signed.ts';
import { checkAudit, type AuditTarget, type Challenge } from '../../../placement/oracle/evidence.ts';
import { sampleBytes } from '../shards.ts';

const hasher = createHasher();
const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex');
const builder = hasher.tree();
builder.update(sampleBytes(5 * LEAF_BYTES + 7, 3));
const tree = builder.finish();

const provider = createIdentity();
const monitor = createIdentity();
const challenge: Challenge = {
  beacon: 'ab'.repeat(32),
  era: 7,
  provider: provider.id,
  monitor: monitor.id,
};
const target: AuditTarget = {
  chunk: 'c'.repeat(32),
  index: 2,
  root: hex(tree.root),
  length: tree.length,
  leaf: 4,
};
const proof = {
  provider: provider.id,
  chunk: target.chunk,
  index: target.index,
  leaf: target.leaf,
  nonce: challengeOf(challenge.beacon, 7, provider.id, monitor.id, 3),
  leafHash: hex(tree.leaves.subarray(4 * 32, 5 * 32)),
  path: Buffer.from(hasher.proof(tree.leaves, 4, 1)).toString('base64url'),
};
const { leafHash: _leafHash, path: _path, ...place } = proof;
const denial = { ...place, reason: 'NotFound' };
const proofBy = (changes: object = {}, by = provider): unknown =>
  signStatement(by, 'proof', { ...proof, ...changes });
const denialBy = (changes: object = {}, by = provider): unknown =>
  signStatement(by, 'denial', { ...denial, ...changes });
const check = (outcome: AuditOutcome, evidence?: unknown, on: AuditTarget = target) =>
  checkAudit(challenge, on, {
    target: 3,
    outcome,
    elapsedMs: 5,
    ...(evidence !== undefined && { evidence }),
  });

const OUTCOMES: readonly AuditOutcome[] = ['ok', 'late', 'wrong', 'missing', 'silent', 'unreachable'];

describe('an audit', () => {
  test('counts by what the provider signed', () => {
    expect(check('ok', proofBy())).toMatchObject({ finding: 'passed', signed: true, false: false });
    expect(check('late', proofBy())).toMatchObject({ finding: 'late', signed: true, false: false });
    expect(check('missing', denialBy())).toMatchObject({ finding: 'missing', signed: true, false: false });
    const broken = proofBy({ leafHash: 'd'.repeat(64) });
    expect(check('wrong', broken)).toMatchObject({ finding: 'wrong', signed: true, false: false });
    const otherLeaf = proofBy({ leafHash: hex(tree.leaves.subarray(0, 32)) });
    expect(check('wrong', otherLeaf)).toMatchObject({ finding: 'wrong', false: false });
    const noPath = proofBy({ path: '' });
    expect(check('wrong', noPath)).toMatchObject({ finding: 'wrong', false: false });
  });

  test('without evidence is only silence: anything else is a false report', () => {
    for (const outcome of OUTCOMES) {
      const word = outcome === 'silent' || outcome === 'unreachable';
      expect(check(outcome), outcome).toEqual({
        finding: word ? outcome : 'nothing',
        signed: false,
        false: !word,
        canary: undefined,
      });
    }
  });

  test('conclusive evidence counts against the provider whatever the monitor says, and then against the monitor too', () => {
    for (const outcome of ['ok', 'late', 'wrong', 'silent', 'unreachable'] as const) {
      expect(check(outcome, denialBy())).toMatchObject({ finding: 'missing', false: true });
    }
    for (const outcome of ['ok', 'late', 'missing', 'silent', 'unreachable'] as const) {
      expect(check(outcome, proofBy({ path: '' }))).toMatchObject({ finding: 'wrong', false: true });
    }
    for (const outcome of ['wrong', 'missing', 'silent', 'unreachable'] as const) {
      expect(check(outcome, proofBy())).toMatchObject({ finding: 'nothing', false: true });
    }
  });

  test('is not borne out by an answer to anything else', () => {
    const others: readonly unknown[] = [
      proofBy({}, createIdentity()),
      proofBy({}, monitor),
      proofBy({ provider: monitor.id }),
      proofBy({ chunk: 'd'.repeat(32) }),
      proofBy({ index: 3 }),
      proofBy({ leaf: 3 }),
      proofBy({ nonce: challengeOf(challenge.beacon, 6, provider.id, monitor.id, 3) }),
      proofBy({ nonce: challengeOf(challenge.beacon, 7, provider.id, monitor.id, 2) }),
      proofBy({ nonce: challengeOf(challenge.beacon, 7, provider.id, provider.id, 3) }),
      proofBy({ nonce: challengeOf('cd'.repeat(32), 7, provider.id, monitor.id, 3) }),
      { ...(proofBy() as object), kind: 'denial' },
      { ...(proofBy() as object), signature: 'AAAA' },
      { ...(proofBy() as object), body: '{' },
      { kind: 'proof' },
      'proof',
      null,
      17,
      [],
    ];
    for (const [index, evidence] of others.entries()) {
      for (const outcome of ['ok', 'late', 'wrong', 'missing'] as const) {
        expect(check(outcome, evidence), `${index}`).toMatchObject({
          finding: 'nothing',
          signed: false,
          false: true,
        });
      }
    }
    for (const evidence of [
      denialBy({ chunk: 'd'.repeat(32) }),
      denialBy({}, monitor),
      denialBy({ leaf: 1 }),
    ]) {
      expect(check('missing', evidence)).toMatchObject({ finding: 'nothing', signed: false, false: true });
    }
  });

  test('of a canary says nothing of the provider, and all of the monitor', () => {
    const canary: AuditTarget = { ...target, canary: 'missing' };
    const right = (outcome: AuditOutcome, evidence?: unknown) => {
      const { finding, canary: told } = check(outcome, evidence, canary);
      expect(finding).toBe('nothing');
      return told;
    };
    expect(right('missing', denialBy())).toBe(true);
    expect(right('missing')).toBe(false);
    expect(right('ok')).toBe(false);
    expect(right('ok', denialBy())).toBe(false);
    expect(right('late')).toBe(false);
    expect(right('silent', denialBy())).toBe(false);
    expect(right('silent')).toBeUndefined();
    expect(right('unreachable')).toBeUndefined();
  });

  test('of a shard that the gateway itself removed says nothing of the provider, but that it is there', () => {
    const removed: AuditTarget = { ...target, removed: true };
    expect(check('missing', denialBy(), removed)).toMatchObject({
      finding: 'nothing',
      signed: true,
      false: false,
    });
    expect(check('ok', proofBy(), removed)).toMatchObject({ finding: 'nothing', false: false });
    expect(check('ok', undefined, removed)).toMatchObject({ finding: 'nothing', false: true });
  });
});
