import { createHasher } from '#erasure';
import { challengeOf } from '../network/beacon.ts';
import { NetworkError } from '../network/errors.ts';
import type { PartyId } from '../network/identity.ts';
import { denialStatementSchema, proofStatementSchema, type Audit } from '../network/messages.ts';
import { readStatement, type Unverified } from '../network/signed.ts';
import type { ProviderId } from '../types.ts';
import type { LoggedAssignment } from './types.ts';

export type AuditTarget = LoggedAssignment['tasks'][number]['targets'][number];

/** Whose challenge an audit answers: all that its nonce is made of. */
export interface Challenge {
  readonly beacon: string;
  readonly era: number;
  readonly provider: ProviderId;
  readonly monitor: PartyId;
}

/**
 * What an audit shows. 'passed', 'late': a proof that verifies. 'wrong', 'missing': signed by the provider, conclusive. 'silent',
 * 'unreachable': the monitor's word alone. 'nothing': a canary, a shard that the gateway removed, or a report that its evidence does not bear
 * out.
 */
type AuditFinding = 'passed' | 'late' | 'wrong' | 'missing' | 'silent' | 'unreachable' | 'nothing';

export interface CheckedAudit {
  readonly finding: AuditFinding;
  /** The provider has signed this challenge's nonce, and so was there in this era. */
  readonly signed: boolean;
  /** The monitor says what its evidence does not bear out. */
  readonly false: boolean;
  /** Of a canary: reported as it is; undefined where no answer came, and where it is none. */
  readonly canary: boolean | undefined;
}

/** What the provider signed: a proof that leads to the root, one that does not, that it has no such shard, or nothing of this challenge. */
type Evidence = 'proof' | 'brokenProof' | 'denial' | 'none';

const hasher = createHasher();

/** What the monitor's outcome has to be for what the provider signed. */
const HONEST: Readonly<Record<Exclude<Evidence, 'none'>, readonly Audit['outcome'][]>> = {
  proof: ['ok', 'late'],
  brokenProof: ['wrong'],
  denial: ['missing'],
};

/**
 * Believes the provider's signature, not the monitor: whoever holds the log can check it again.
 * @param target what the gateway logged as this audit's target
 */
export function checkAudit(challenge: Challenge, target: AuditTarget, audit: Audit): CheckedAudit {
  const shown = readEvidence(challenge, target, audit);
  return judge(target, audit, shown?.statement.verify() ? shown.evidence : 'none');
}

/** The same, with the signature verified on another thread. */
export async function checkAuditAside(
  challenge: Challenge,
  target: AuditTarget,
  audit: Audit,
): Promise<CheckedAudit> {
  const shown = readEvidence(challenge, target, audit);
  return judge(target, audit, (await shown?.statement.verifyAside()) ? shown!.evidence : 'none');
}

function judge(target: AuditTarget, { outcome }: Audit, evidence: Evidence): CheckedAudit {
  const unanswered = outcome === 'silent' || outcome === 'unreachable';
  const isFalse = evidence === 'none' ? !unanswered : !HONEST[evidence].includes(outcome);
  const common = { signed: evidence !== 'none', false: isFalse };
  if (target.canary !== undefined) {
    return { ...common, finding: 'nothing', canary: unanswered && !isFalse ? undefined : !isFalse };
  }
  if (target.removed) return { ...common, finding: 'nothing', canary: undefined };
  return { ...common, finding: findingOf(evidence, outcome), canary: undefined };
}

function findingOf(evidence: Evidence, outcome: Audit['outcome']): AuditFinding {
  switch (evidence) {
    case 'brokenProof':
      return 'wrong';
    case 'denial':
      return 'missing';
    case 'proof':
      if (outcome === 'ok') return 'passed';
      return outcome === 'late' ? 'late' : 'nothing';
    case 'none':
      return outcome === 'silent' || outcome === 'unreachable' ? outcome : 'nothing';
  }
}

interface Shown {
  readonly evidence: Evidence;
  readonly statement: Unverified<unknown>;
}

/** What an audit's evidence shows if its signature is good; undefined: nothing of this challenge. */
function readEvidence(challenge: Challenge, target: AuditTarget, audit: Audit): Shown | undefined {
  const kind = kindOf(audit.evidence);
  try {
    if (kind === 'proof') return readProof(challenge, target, audit);
    if (kind === 'denial') return readDenial(challenge, target, audit);
  } catch (error) {
    if (!(error instanceof NetworkError)) throw error;
  }
  return undefined;
}

function kindOf(evidence: unknown): unknown {
  return typeof evidence === 'object' && evidence !== null && 'kind' in evidence ? evidence.kind : undefined;
}

function readProof(challenge: Challenge, target: AuditTarget, audit: Audit): Shown | undefined {
  const statement = readStatement(audit.evidence, 'proof', proofStatementSchema);
  const { value, signer } = statement;
  if (!answers(challenge, target, audit.target, { ...value, signer })) return undefined;
  const leads = hasher.verifyLeafHash(
    Buffer.from(target.root, 'hex'),
    target.length,
    target.leaf,
    Buffer.from(value.leafHash, 'hex'),
    Buffer.from(value.path, 'base64url'),
  );
  return { evidence: leads ? 'proof' : 'brokenProof', statement };
}

function readDenial(challenge: Challenge, target: AuditTarget, audit: Audit): Shown | undefined {
  const statement = readStatement(audit.evidence, 'denial', denialStatementSchema);
  const { value, signer } = statement;
  return answers(challenge, target, audit.target, { ...value, signer })
    ? { evidence: 'denial', statement }
    : undefined;
}

interface Answer {
  readonly signer: PartyId;
  readonly provider: ProviderId;
  readonly chunk: string;
  readonly index: number;
  readonly leaf: number;
  readonly nonce: string;
}

/** Signed by the provider for this very challenge: another's, an earlier one's or another shard's answer shows nothing. */
function answers(challenge: Challenge, target: AuditTarget, number: number, answer: Answer): boolean {
  const { beacon, era, provider, monitor } = challenge;
  return (
    answer.signer === provider &&
    answer.provider === provider &&
    answer.chunk === target.chunk &&
    answer.index === target.index &&
    answer.leaf === target.leaf &&
    answer.nonce === challengeOf(beacon, era, provider, monitor, number)
  );
}
