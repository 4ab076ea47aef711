import { Option } from 'commander';
import type { Command } from 'commander';
import type { MonitorRecord, ProviderDetail, ProviderSummary } from '#placement';
import { EXIT, connect, gigabytes, percent, print, table, withOutput } from './shared.ts';
import type { Done, OutputOptions } from './shared.ts';

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
  ).action(async (id: string, options: OutputOptions) => {
    const detail = (await (await connect(options)).get(`/v1/providers/${id}`)) as ProviderDetail;
    print(detail, inspection(detail), options);
    done(EXIT.ok);
  });
  const commands = {
    approve: 'let an applicant in',
    drain: 'take no new shards there and move those it holds to others; then it is gone',
    exit: 'the same, as the provider’s own wish: what was withheld of its pay is released',
    readmit: 'let a suspended, disqualified or gone provider be vetted anew',
  };
  for (const [command, help] of Object.entries(commands)) {
    withOutput(providers.command(`${command} <id>`).description(help)).action(
      async (id: string, options: OutputOptions) => {
        await (await connect(options)).post(`/v1/providers/${id}/commands`, { command });
        print({ id, command }, `${id}: ${command} is under way`, options);
        done(EXIT.ok);
      },
    );
  }
}

function monitorCommands(monitors: Command, done: Done): void {
  withOutput(monitors.command('list').description('state, canaries and agreement of each')).action(
    async (options: OutputOptions) => {
      const list = (await (await connect(options)).get('/v1/hypernodes')) as MonitorRecord[];
      print(list, list.length === 0 ? 'No HyperNode has registered' : monitorTable(list), options);
      done(EXIT.ok);
    },
  );
  for (const [command, help] of Object.entries({
    approve: 'let an applicant in',
    remove: 'take no more reports from it',
  })) {
    withOutput(monitors.command(`${command} <id>`).description(help)).action(
      async (id: string, options: OutputOptions) => {
        await (await connect(options)).post(`/v1/hypernodes/${id}/commands`, { command });
        print({ id, command }, `${id}: ${command}d`, options);
        done(EXIT.ok);
      },
    );
  }
}

function tokenCommands(tokens: Command, done: Done): void {
  withOutput(
    tokens
      .command('create')
      .description('make one and print it')
      .addOption(new Option('--for <role>').choices(['provider', 'hypernode']).makeOptionMandatory())
      .option('--uses <n>', 'registrations it is good for', '1')
      .option('--hours <n>', 'hours it is good for', '24'),
  ).action(async (options: OutputOptions & { for: string; uses: string; hours: string }) => {
    const made = (await (
      await connect(options)
    ).post('/v1/tokens', {
      role: options.for,
      uses: Number(options.uses),
      hours: Number(options.hours),
    })) as { token: string };
    print(made, made.token, options);
    done(EXIT.ok);
  });
  withOutput(tokens.command('list').description('those that are still good')).action(
    async (options: OutputOptions) => {
      const list = (await (await connect(options)).get('/v1/tokens')) as {
        id: string;
        role: string;
        usesLeft: number;
        expiresAt: number;
      }[];
      const rows = list.map(({ id, role, usesLeft, expiresAt }) => [
        id,
        role,
        String(usesLeft),
        new Date(expiresAt).toISOString(),
      ]);
      print(list, table([['TOKEN', 'FOR', 'USES LEFT', 'UNTIL'], ...rows]), options);
      done(EXIT.ok);
    },
  );
  withOutput(tokens.command('remove <id>').description('take it back')).action(
    async (id: string, options: OutputOptions) => {
      await (await connect(options)).remove(`/v1/tokens/${id}`);
      print({ id }, 'removed', options);
      done(EXIT.ok);
    },
  );
}

function providerTable(list: readonly ProviderSummary[]): string {
  const rows = list.map((one) => [
    one.id,
    one.state,
    percent(one.placementScore),
    ...(['availability', 'integrity', 'latency', 'throughput', 'capacity'] as const).map((part) =>
      percent(one.last?.components[part]),
    ),
    String(one.shards),
    gigabytes(one.storedBytes),
    one.free === undefined ? '–' : gigabytes(one.free),
    `${one.description.region}/${one.description.site}/${one.description.operator}`,
  ]);
  const head = 'PROVIDER,STATE,SCORE,AVAIL,INTEGR,LATENCY,THROUGH,CAPAC,SHARDS,STORED,FREE,PLACE';
  return table([head.split(','), ...rows]);
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
      `  availability ${percent(components.availability)}, integrity ${percent(components.integrity)}, latency ${percent(components.latency)}, throughput ${percent(components.throughput)}, capacity ${percent(components.capacity)}`,
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
