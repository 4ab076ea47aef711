/**
 * What the parties of the network say to each other. Schemas are strict and bounded: everything that arrives is hostile
 * until it has passed one. Times are milliseconds since the epoch, sizes bytes, hashes 64 hex digits of BLAKE3-256, names 32 hex digits.
 *
 * The gateway's network listener:
 *
 *     GET  /network/v1/gateway                                  → GatewayDescription
 *     POST /network/v1/providers     Signed<ProviderRegistration>   → Standing
 *     POST /network/v1/heartbeats    Signed<Heartbeat>              → Standing
 *     POST /network/v1/hypernodes    Signed<HyperNodeRegistration>  → Standing
 *     GET  /network/v1/era                                      → EraNotice
 *     POST /network/v1/assignments   Signed 'assignment-request'    → Signed<Assignment>
 *     POST /network/v1/reports       the text of a Report           → {}, with the headers shardway-kind, -signer and -signature of its Signed 'report',
 *                                    and shardway-intent: base64url of the JSON of a Signed 'report-intent', new for every try
 *
 * The bodies of registrations, heartbeats and reports are JSON as JSON.stringify writes it: the log keeps them.
 *
 * Errors are `{kind, error}`: 400 BadMessage, 401 BadSignature and Refused, 403 NotApproved, 404 NotFound, 409 Conflict, 503 Unavailable.
 */
import * as z from 'zod';

const party = z.string().regex(/^[0-9a-f]{32}$/);
const hash = z.string().regex(/^[0-9a-f]{64}$/);
const time = z.int().nonnegative();
const bytes = z.int().nonnegative();
const era = z.int().nonnegative();
const label = z.string().regex(/^[A-Za-z0-9][A-Za-z0-9._:-]{0,63}$/);
/** base64url of raw bytes. */
const encoded = z
  .string()
  .regex(/^[A-Za-z0-9_-]*$/)
  .max(8192);
/** An origin: scheme, host and port, nothing else. */
const endpoint = z
  .string()
  .max(256)
  .refine((text) => {
    const url = URL.parse(text);
    return url !== null && /^https?:$/.test(url.protocol) && url.origin === text;
  }, 'takes an origin like http://host:port');

export const locationSchema = z.strictObject({
  latitude: z.number().min(-90).max(90),
  longitude: z.number().min(-180).max(180),
});
export type Location = z.infer<typeof locationSchema>;

/** Storage classes and what they promise: the oracle's parameters hold the times. */
const storageClassSchema = z.enum(['ssd', 'hdd']);
export type StorageClass = z.infer<typeof storageClassSchema>;

/** What a provider says of itself. */
export const providerDescriptionSchema = z.strictObject({
  endpoint,
  region: label,
  site: label,
  operator: label,
  /** The /24 or /48 that its address lies in, like 203.0.113.0/24. */
  networkPrefix: z.string().max(64),
  location: locationSchema.optional(),
  storageClass: storageClassSchema,
  capacity: bytes,
});
export type ProviderDescription = z.infer<typeof providerDescriptionSchema>;

/** Signed kind 'register-provider'. */
export const providerRegistrationSchema = z.strictObject({
  version: z.literal(1),
  /** Of the gateway: a registration is of no use anywhere else. */
  gateway: party,
  /** Grows with every statement of the party; an older one is a replay. */
  at: time,
  /** Proof of a join token, for this party (see joinProof.ts), never the token: registrations are logged. Without one, an operator has to approve. */
  token: z.string().max(256).optional(),
  description: providerDescriptionSchema,
});
export type ProviderRegistration = z.infer<typeof providerRegistrationSchema>;

/** Signed kind 'heartbeat'. An endpoint other than the last is an address change, and is followed. */
export const heartbeatSchema = z.strictObject({
  version: z.literal(1),
  gateway: party,
  at: time,
  endpoint,
  capacity: bytes,
  free: bytes,
  shards: z.int().nonnegative(),
});
export type Heartbeat = z.infer<typeof heartbeatSchema>;

const providerStateSchema = z.enum([
  'applied',
  'vetting',
  'active',
  'degraded',
  'suspended',
  'exiting',
  'gone',
  'disqualified',
]);

/** How a party stands with the gateway. 'applied': an operator has yet to approve. */
export const standingSchema = z.strictObject({
  state: z.enum([...providerStateSchema.options, 'removed']),
  /** What the gateway uses it for, in words. */
  note: z.string().max(500).optional(),
});
export type Standing = z.infer<typeof standingSchema>;

export const gatewayDescriptionSchema = z.strictObject({
  version: z.literal(1),
  id: party,
  publicKey: z.string().max(64),
  time,
});
export type GatewayDescription = z.infer<typeof gatewayDescriptionSchema>;

/** Signed kind 'register-hypernode'. */
export const hyperNodeRegistrationSchema = z.strictObject({
  version: z.literal(1),
  gateway: party,
  at: time,
  /** As in a provider's registration. */
  token: z.string().max(256).optional(),
  operator: label,
  networkPrefix: z.string().max(64),
  asn: z.int().positive().optional(),
  location: locationSchema.optional(),
  /** End of its hash chain: the value whose BLAKE3 preimages it will reveal, one an era (see beacon.ts). */
  beaconTip: hash,
});
export type HyperNodeRegistration = z.infer<typeof hyperNodeRegistrationSchema>;

export const eraNoticeSchema = z.strictObject({
  version: z.literal(1),
  era,
  opensAt: time,
  /** Reports are taken until then. */
  closesAt: time,
  beacon: hash,
});
export type EraNotice = z.infer<typeof eraNoticeSchema>;

/** Signed kind 'assignment-request'. */
export const assignmentRequestSchema = z.strictObject({
  version: z.literal(1),
  gateway: party,
  at: time,
  era,
});

/** One leaf to ask for. Some are canaries: shards of which the gateway knows that the provider does not hold them. */
const targetSchema = z.strictObject({
  chunk: party,
  index: z.int().min(0).max(255),
  root: hash,
  /** Of the shard. */
  length: z.int().positive(),
  leaf: z.int().nonnegative(),
  /** A grant to `prove` this shard, for this monitor (see grants.ts). */
  grant: z.string().max(2048),
});
export type Target = z.infer<typeof targetSchema>;

/** What a monitor is to do at one provider in this era. */
const taskSchema = z.strictObject({
  provider: party,
  publicKey: z.string().max(64),
  endpoint,
  storageClass: storageClassSchema,
  /** Challenges, in order. */
  targets: z.array(targetSchema).max(1000),
  /** A shard to read a run of leaves from, for throughput; absent where the provider holds nothing yet. */
  throughput: z
    .strictObject({
      chunk: party,
      index: z.int().min(0).max(255),
      root: hash,
      length: z.int().positive(),
      first: z.int().nonnegative(),
      count: z.int().positive().max(1024),
      grant: z.string().max(2048),
    })
    .optional(),
});
export type Task = z.infer<typeof taskSchema>;

/** Signed kind 'assignment', by the gateway. */
export const assignmentSchema = z.strictObject({
  version: z.literal(1),
  era,
  monitor: party,
  beacon: hash,
  closesAt: time,
  /** Milliseconds that an answer may take beyond the round trip, by storage class. */
  serviceMs: z.record(storageClassSchema, z.number().positive()),
  tasks: z.array(taskSchema).max(10_000),
});
export type Assignment = z.infer<typeof assignmentSchema>;

/** Signed kind 'proof', by a provider: this leaf, for this challenge, is mine to show. Its bytes travel beside it. */
export const proofStatementSchema = z.strictObject({
  provider: party,
  chunk: party,
  index: z.int().min(0).max(255),
  leaf: z.int().nonnegative(),
  /** Chosen by the monitor: BLAKE3 of beacon, era, provider, monitor and number. */
  nonce: hash,
  /** BLAKE3 of the leaf's bytes. */
  leafHash: hash,
  /** Merkle path, as Hasher.proof gives it. */
  path: encoded,
});
export type ProofStatement = z.infer<typeof proofStatementSchema>;

/** Signed kind 'denial', by a provider: I do not have this shard, or cannot read it. */
export const denialStatementSchema = z.strictObject({
  provider: party,
  chunk: party,
  index: z.int().min(0).max(255),
  leaf: z.int().nonnegative(),
  nonce: hash,
  reason: z.enum(['NotFound', 'Corrupt']),
});
export type DenialStatement = z.infer<typeof denialStatementSchema>;

/**
 * 'ok': a proof that verifies, in time. 'late': one that verifies, after its time. 'wrong': signed by the provider, and does not
 * verify. 'missing': signed by the provider. 'silent': no signed answer, though the provider was there. 'unreachable': it was not.
 */
const auditOutcomeSchema = z.enum(['ok', 'late', 'wrong', 'missing', 'silent', 'unreachable']);
export type AuditOutcome = z.infer<typeof auditOutcomeSchema>;

const auditSchema = z.strictObject({
  /** Place in the task's targets. */
  target: z.int().nonnegative(),
  outcome: auditOutcomeSchema,
  elapsedMs: z.number().nonnegative(),
  /** The provider's Signed 'proof' or 'denial': without it, ok, late, wrong and missing do not count. */
  evidence: z.unknown().optional(),
});
export type Audit = z.infer<typeof auditSchema>;

/**
 * Counts of latencies, mergeable: bucket b holds values in (2^((b−1)/4), 2^(b/4)] ms, 0 all up to 1 ms, so that a quantile is right to within
 * 19 %. Sorted by bucket.
 */
export const latencyDigestSchema = z.array(z.tuple([z.int().min(0).max(80), z.int().positive()])).max(81);
export type LatencyDigest = z.infer<typeof latencyDigestSchema>;

/** What one monitor saw of one provider. */
const findingSchema = z.strictObject({
  provider: party,
  /** Availability probes, spread over the era, and how many got a right answer. */
  probes: z.int().nonnegative(),
  answered: z.int().nonnegative(),
  /** Least round trip of the era's probes. */
  rttMinMs: z.number().nonnegative().optional(),
  /** Of answered challenges and reads. */
  latency: latencyDigestSchema,
  /** Bytes per second of each throughput probe. */
  throughput: z.array(z.number().nonnegative()).max(16),
  /** What the provider said of its space. */
  space: z.strictObject({ capacity: bytes, free: bytes }).optional(),
  audits: z.array(auditSchema).max(1000),
});
export type Finding = z.infer<typeof findingSchema>;

/** Signed kind 'report', by a monitor: one an era. */
export const reportSchema = z.strictObject({
  version: z.literal(1),
  gateway: party,
  at: time,
  era,
  /** BLAKE3 of the body of the assignment it worked from. */
  assignment: hash,
  /** Its own check, made first: a monitor that is cut off itself says so, and its findings do not count. */
  connectivity: z.strictObject({ checked: z.int().nonnegative(), reached: z.int().nonnegative() }),
  /** The next preimage of its hash chain. */
  reveal: hash,
  findings: z.array(findingSchema).max(10_000),
});
export type Report = z.infer<typeof reportSchema>;

/** Signed kind 'report-intent', by a monitor: this is the report that it is about to send. Nobody else can keep it from being heard. */
export const reportIntentSchema = z.strictObject({
  version: z.literal(1),
  gateway: party,
  at: time,
  era,
  /** BLAKE3 of the report's text. */
  report: hash,
});

/** What the gateway itself saw of one provider in an era; signed kind 'observation', by the gateway. */
export const observationSchema = z.strictObject({
  version: z.literal(1),
  era,
  providers: z.array(
    z.strictObject({
      provider: party,
      /** Recorded shards there when the era opened, and their bytes. */
      shards: z.int().nonnegative(),
      storedBytes: bytes,
      /** By its last heartbeat; undefined when none came in this era. */
      space: z.strictObject({ capacity: bytes, free: bytes }).optional(),
      writes: z.int().nonnegative(),
      /** Writes that it refused for lack of space while it had said it had some. */
      refusedWithSpace: z.int().nonnegative(),
      reads: z.int().nonnegative(),
      wrongReads: z.int().nonnegative(),
      egressBytes: bytes,
      repairEgressBytes: bytes,
    }),
  ),
});
export type Observation = z.infer<typeof observationSchema>;
