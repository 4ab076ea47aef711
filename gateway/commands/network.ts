import type { Command } from 'commander';
import type { MonitorRecord, ProviderDetail, ProviderSummary } from '#placement';
import type { AdminClient } from '../admin/client.ts';
import { ConfigError } from '../config.ts';
import { EXIT, connect, gigabytes, percent, print, table, withOutput } from './shared.ts';
import type { Done, OutputOptions } from './shared.ts';
import { tokenCommands } from './tokens.ts';

/** `shardway providers …`, `hypernodes …`, `tokens …`: what an operator does with the network. */
export function networkCommands(root: Command, done: Done): void {
  providerCommands(root.command('providers').description('the registered providers'), done);
  monitorCommands(root.command('hypernodes').description('the registered HyperNodes'), done);
  tokenCommands(
    root.command('tokens').description('join tokens, with which providers and HyperNodes register'),
    done,
  );
}

function providerCommands(providers: Command, done: Done): void {
  withOutput(providers.command('list').description('state, score and fill of each')).action(
    async (options: OutputOptions) => {
      const list = (await (await connect(options)).get('/v1/providers')) as ProviderSummary[];
      print(list, list.length === 0 ? 'No provider has registered' : providerTable(list), options);
      done(EXIT.ok);
    },
  );
  withOutput(
    providers.command('inspect <id>').description('its score by component, and the reports behind it'),
  ).action(async (given: string, options: OutputOptions) => {
    const { client, id } = await meant('providers', given, options);
    const detail = (await client.get(`/v1/providers/${id}`)) as ProviderDetail;
    print(detail, inspection(detail), options);
    done(EXIT.ok);
  });
  partyCommand(providers, done, { parties: 'providers', verbs: PROVIDER_VERBS });
}

type Parties = 'providers' | 'hypernodes';
interface Verb {
  readonly help: string;
  /** What has come of it. */
  readonly said: string;
}
const MOVING = 'its shards are being moved to others (see inspect); then it is gone';
const PROVIDER_VERBS: Readonly<Record<string, Verb>> = {
  approve: { help: 'let an applicant in', said: 'approved, and being vetted' },
  drain: {
    help: 'take no new shards there and move those it holds to others; then it is gone',
    said: MOVING,
  },
  exit: {
    help: 'the same, as the provider’s own wish: what was withheld of its pay is released',
    said: MOVING,
  },
  readmit: {
    help: 'let a suspended, disqualified or gone provider be vetted anew',
    said: 'readmitted, and being vetted anew',
  },
};
const MONITOR_VERBS: Readonly<Record<string, Verb>> = {
  approve: { help: 'let an applicant in', said: 'approved' },
  remove: { help: 'take no more reports from it', said: 'removed' },
};

/** One command for each verb, on one party. */
function partyCommand(
  group: Command,
  done: Done,
  { parties, verbs }: { readonly parties: Parties; readonly verbs: Readonly<Record<string, Verb>> },
): void {
  for (const [command, { help, said }] of Object.entries(verbs)) {
    withOutput(group.command(`${command} <id>`).description(help)).action(
      async (given: string, options: OutputOptions) => {
        const { client, id } = await meant(parties, given, options);
        await client.post(`/v1/${parties}/${id}/commands`, { command });
        print({ id, command }, `${id}: ${said}`, options);
        done(EXIT.ok);
      },
    );
  }
}

/**
 * The whole id of a party that is named by it, or by its beginning where no other party's begins so, and the gateway that knows it.
 * @throws ConfigError naming those that are meant; NoGatewayError; Error where there is none
 */
async function meant(
  parties: Parties,
  given: string,
  options: OutputOptions,
): Promise<{ readonly client: AdminClient; readonly id: string }> {
  if (!/^[0-9a-f]{8,32}$/.test(given)) {
    throw new ConfigError(`<id> takes an id of 32 hex digits, or its first 8 or more; got '${given}'`);
  }
  const client = await connect(options);
  if (given.length === 32) return { client, id: given };
  const list = (await client.get(`/v1/${parties}`)) as readonly { readonly id: string }[];
  const [found, ...others] = list.map(({ id }) => id).filter((id) => id.startsWith(given));
  if (found === undefined) throw new Error(`no id in \`${parties} list\` begins with ${given}`);
  if (others.length === 0) return { client, id: found };
  throw new ConfigError(`${given} may mean ${[found, ...others].join(' or ')}: give more of it`);
}

function monitorCommands(monitors: Command, done: Done): void {
  withOutput(monitors.command('list').description('state, canaries and agreement of each')).action(
    async (options: OutputOptions) => {
      const list = (await (await connect(options)).get('/v1/hypernodes')) as MonitorRecord[];
      print(list, list.length === 0 ? 'No HyperNode has registered' : monitorTable(list), options);
      done(EXIT.ok);
    },
  );
  partyCommand(monitors, done, { parties: 'hypernodes', verbs: MONITOR_VERBS });
}

function providerTable(list: readonly ProviderSummary[]): string {
  const rows = list.map((one) => [
    one.id,
    one.state,
    percent(one.placementScore),
    percent(one.last?.components.availability),
    percent(provenOf(one)),
    percent(timelyOf(one)),
    ...(['latency', 'throughput', 'capacity'] as const).map((part) => percent(one.last?.components[part])),
    String(one.shards),
    gigabytes(one.storedBytes),
    one.free === undefined ? '–' : gigabytes(one.free),
    `${one.description.region}/${one.description.site}/${one.description.operator}`,
  ]);
  const head = 'PROVIDER,STATE,SCORE,AVAIL,INTEGR,TIMELY,LATENCY,THROUGH,CAPAC,SHARDS,STORED,FREE,PLACE';
  return table([head.split(','), ...rows]);
}

/** Mean of what the provider's own signatures show, as its disqualification goes by; undefined before the first audit. */
export function provenOf({ alpha, beta }: Pick<ProviderSummary, 'alpha' | 'beta'>): number | undefined {
  return alpha + beta > 0 ? (alpha + 1) / (alpha + beta + 2) : undefined;
}

/** Share of challenges answered in time; undefined before the first. */
export function timelyOf({ timely, last }: Pick<ProviderSummary, 'timely' | 'last'>): number | undefined {
  return last?.components.integrity === undefined ? undefined : timely;
}

function inspection(detail: ProviderDetail): string {
  const { description, last } = detail;
  const lines = [
    `Provider    ${detail.id}`,
    `Place       ${description.region}/${description.site}, operator ${description.operator}, ${description.networkPrefix}`,
    `Endpoint    ${description.endpoint}`,
    `State       ${detail.state} since ${new Date(detail.stateSince).toISOString()}: ${detail.reason}`,
    `Score       ${percent(detail.placementScore)} for placement, ${percent(detail.settlementScore)} for settlement`,
    `Holds       ${detail.shards} shards, ${gigabytes(detail.storedBytes)}`,
    `Audits      ${detail.audits} passed; α ${detail.alpha.toFixed(1)}, β ${detail.beta.toFixed(1)}`,
  ];
  if (detail.leaving) {
    const { shardsLeft, shardsAtStart } = detail.leaving;
    lines.push(`Leaving     ${shardsAtStart - shardsLeft} of ${shardsAtStart} shards moved`);
  }
  if (last) {
    const { audits, components } = last;
    lines.push(
      `Last era    ${last.decision}: ${last.reason}`,
      `  availability ${percent(components.availability)}, integrity ${percent(components.integrity)} (signed audits: ${percent(provenOf(detail))} right on average; ${percent(timelyOf(detail))} in time), latency ${percent(components.latency)}, throughput ${percent(components.throughput)}, capacity ${percent(components.capacity)}`,
      `  audits: ${audits.passed} passed, ${audits.late} late, ${audits.wrong} wrong, ${audits.missing} missing, ${audits.silent} unanswered`,
      `  p50 ${milliseconds(last.p50Ms)}, p99 ${milliseconds(last.p99Ms)}, ${last.bytesPerSecond === undefined ? 'throughput not measured' : `${(last.bytesPerSecond / 1e6).toFixed(1)} MB/s`}`,
      '  reports behind it (the signed originals are in the log, by era and HyperNode):',
      ...last.groups.map(
        (group) =>
          `    ${group.group}: weight ${percent(group.weight)}, answered ${percent(group.answered)}, p99 ${milliseconds(group.p99Ms)}${group.dropped === undefined ? '' : `, dropped: ${group.dropped}`}; ${group.monitors.join(' ')}`,
      ),
    );
  }
  if (detail.history.length > 0) {
    lines.push('History');
    const rows = detail.history.map((one) => [
      `  era ${one.era}`,
      one.decision,
      percent(one.score),
      percent(one.placementScore),
      one.state,
      one.reason,
    ]);
    lines.push(table([['  ERA', 'DECISION', 'SCORE', 'EWMA', 'STATE', 'REASON'], ...rows]));
  }
  return lines.join('\n');
}

function milliseconds(value: number | undefined): string {
  return value === undefined ? '–' : `${value.toFixed(value < 10 ? 1 : 0)} ms`;
}

function monitorTable(list: readonly MonitorRecord[]): string {
  const rows = list.map((one) => [
    one.id,
    one.state,
    percent(one.last?.canaryAccuracy),
    one.last?.agreement === undefined ? '–' : one.last.agreement.toFixed(2),
    one.operator,
    one.networkPrefix,
    one.reason,
  ]);
  return table([['HYPERNODE', 'STATE', 'CANARIES', 'AGREEMENT', 'OPERATOR', 'NETWORK', 'REASON'], ...rows]);
}
