/** What a server says of how it keeps data, and what of it loses acknowledged commits. */

import type { Redis } from 'ioredis';

/** A setting is undefined where the server does not tell. */
export interface ServerFacts {
  /** host:port */
  readonly server: string;
  readonly appendonly: string | undefined;
  readonly appendfsync: string | undefined;
  readonly noAppendfsyncOnRewrite: string | undefined;
  readonly maxmemory: number | undefined;
  readonly maxmemoryPolicy: string | undefined;
  /** Replicas that may take over from it. */
  readonly replicas: number;
}

const SETTINGS = [
  'appendonly',
  'appendfsync',
  'no-appendfsync-on-rewrite',
  'maxmemory',
  'maxmemory-policy',
] as const;

/** @throws the client's error when the server does not answer */
export async function readFacts(node: Redis): Promise<ServerFacts> {
  const [info, nodes, ...settings] = await Promise.all([
    permitted(node.info()),
    permitted(node.cluster('NODES')),
    ...SETTINGS.map(async (name) => await permitted(node.config('GET', name))),
  ]);
  const [appendonly, appendfsync, noAppendfsyncOnRewrite, maxmemory, maxmemoryPolicy] = settings.map(
    (answer) => (Array.isArray(answer) ? answer[1] : undefined),
  );
  const said = infoOf(info);
  const limit = maxmemory ?? said.get('maxmemory');
  return {
    server: `${node.options.host ?? ''}:${node.options.port ?? ''}`,
    appendonly: appendonly ?? { 0: 'no', 1: 'yes' }[said.get('aof_enabled') ?? ''],
    appendfsync,
    noAppendfsyncOnRewrite,
    maxmemory: limit === undefined ? undefined : Number(limit),
    maxmemoryPolicy: maxmemoryPolicy ?? said.get('maxmemory_policy'),
    replicas: Math.max(Number(said.get('connected_slaves') ?? 0), replicasIn(nodes)),
  };
}

/** Why acknowledged commits may be lost on this server; each reason names what to change. `replicas`: how many confirm each commit. */
export function weaknesses(facts: ServerFacts, replicas: number): string[] {
  const reasons: string[] = [];
  const expect = (setting: string, found: string | undefined, wanted: string): void => {
    if (found === undefined)
      reasons.push(`${setting} is not known: allow CONFIG GET, or see that it is ${wanted}`);
    else if (found !== wanted) reasons.push(`${setting} is ${found}: set it to ${wanted}`);
  };
  expect('appendonly', facts.appendonly, 'yes');
  expect('appendfsync', facts.appendfsync, 'always');
  // With yes, not even appendfsync always syncs while the log is rewritten.
  expect('no-appendfsync-on-rewrite', facts.noAppendfsyncOnRewrite, 'no');
  if (facts.maxmemory !== 0) expect('maxmemory-policy', facts.maxmemoryPolicy, 'noeviction');
  if (facts.replicas > replicas) {
    reasons.push(
      `a replica may take over without acknowledged commits: there are ${facts.replicas}, and ${replicas} confirm each commit: add replicas=${facts.replicas} to the address`,
    );
  }
  return reasons.map((reason) => `${facts.server}: ${reason}`);
}

/** Undefined for what the server refuses or does not know. */
async function permitted<T>(answer: Promise<T>): Promise<T | undefined> {
  try {
    return await answer;
  } catch (error) {
    if ((error as Error).name === 'ReplyError') return undefined;
    throw error;
  }
}

function infoOf(info: string | undefined): ReadonlyMap<string, string> {
  const lines = (info ?? '').split(/\r?\n/).map((line) => [line, line.indexOf(':')] as const);
  return new Map(
    lines.filter(([, at]) => at > 0).map(([line, at]) => [line.slice(0, at), line.slice(at + 1)] as const),
  );
}

/** Replicas of the node that CLUSTER NODES calls myself, connected or not: id, address, flags, id of its master, … */
function replicasIn(nodes: unknown): number {
  const rows = (typeof nodes === 'string' ? nodes : '').split('\n').map((line) => line.split(' '));
  const self = rows.find(([, , flags]) => flags?.split(',').includes('myself'))?.[0];
  return self === undefined ? 0 : rows.filter(([, , , master]) => master === self).length;
}
