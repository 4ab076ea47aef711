/** A log as a gateway writes it: real identities and signatures, outcomes made by hand. */
import { BeaconChain } from '../../../placement/network/beacon.ts';
import { createIdentity, type Identity } from '../../../placement/network/identity.ts';
import { signStatement } from '../../../placement/network/signed.ts';
import { eraAccountsOf, type ClosedEra } from '../../../placement/ledger/eraAccounts.ts';
import type { EraAccounts } from '../../../placement/ledger/types.ts';
import { openEventLog } from '../../../placement/oracle/log.ts';
import { ORACLE_DEFAULTS } from '../../../placement/oracle/parameters.ts';
import { applyRecord, beaconAfter } from '../../../placement/oracle/state.ts';
import type { EventLog, LogRecord, NetworkState } from '../../../placement/oracle/types.ts';
import { HOUR, monitorOf, seenOf, verdictOf } from './network.ts';

const START = 1_800_000_000_000;

export class GatewayLog {
  readonly providers = [createIdentity(), createIdentity(), createIdentity()];
  readonly monitor = createIdentity();
  readonly #gateway = createIdentity();
  readonly #chain = new BeaconChain(new Uint8Array(32).fill(7));
  readonly #log: EventLog;
  #state: NetworkState | undefined;
  #at = START;

  private constructor(log: EventLog) {
    this.#log = log;
  }

  /** A genesis, three providers and a monitor. */
  static async begin(folder: string): Promise<GatewayLog> {
    const log = new GatewayLog(await openEventLog(folder));
    const { id: gateway } = log.#gateway;
    await log.#append({
      kind: 'genesis',
      version: 1,
      at: START,
      gateway,
      parameters: ORACLE_DEFAULTS,
      beacon: '0'.repeat(64),
      beaconTip: log.#chain.tip,
    });
    for (const [i, provider] of log.providers.entries()) await log.#register(provider, i);
    const value = {
      version: 1,
      gateway,
      at: 1,
      operator: 'watchers',
      networkPrefix: '203.0.113.0/24',
      beaconTip: '1'.repeat(64),
    };
    const statement = signStatement(log.monitor, 'register-hypernode', value);
    await log.#append({ kind: 'hypernode-registered', at: START, statement, approved: true });
    return log;
  }

  get era(): number {
    return this.#state!.era;
  }

  get at(): number {
    return this.#at;
  }

  /** An hour in which the first of the providers are up, and the rest down. Returns what a ledger is to account of it. */
  async close(up = this.providers.length): Promise<EraAccounts> {
    const era = this.era + 1;
    const reveal = this.#chain.reveal(era + 1);
    const beacon = beaconAfter(this.#state!, reveal);
    await this.#append({ kind: 'era-opened', at: this.#at, era, beacon, reveal, assignments: [] });
    const seen = this.providers.map(({ id }) => seenOf(id, { egressBytes: 5e9 }));
    const statement = signStatement(this.#gateway, 'observation', { version: 1, era, providers: seen });
    this.#at += HOUR;
    await this.#append({ kind: 'observation', at: this.#at, statement });
    const verdicts = this.providers
      .map(({ id }, i) => verdictOf(id, { decision: i < up ? 'up' : 'down' }))
      .filter(({ provider }) => this.#state!.providers[provider]?.state !== 'gone');
    const outcome = { era, beacon, providers: verdicts, monitors: [monitorOf(this.monitor.id)] };
    const closed: ClosedEra = { kind: 'era-closed', at: this.#at, era, outcome };
    const before = this.#state!;
    await this.#append(closed);
    return eraAccountsOf(before, closed, this.#state!);
  }

  /** A provider leaves: its shards are gone from it at once. */
  async leave(provider: Identity): Promise<void> {
    for (const command of ['exit', 'gone'] as const) {
      await this.#append({ kind: 'provider-command', at: this.#at, provider: provider.id, command });
    }
  }

  async end(): Promise<void> {
    await this.#log.close();
  }

  async #register(provider: Identity, number: number): Promise<void> {
    const value = {
      version: 1,
      gateway: this.#gateway.id,
      at: 1,
      description: {
        endpoint: `http://127.0.0.1:${9000 + number}`,
        region: 'eu',
        site: `site${number}`,
        operator: `operator${number}`,
        networkPrefix: `198.51.${number}.0/24`,
        storageClass: 'hdd',
        capacity: 1e13,
      },
    };
    const statement = signStatement(provider, 'register-provider', value);
    await this.#append({ kind: 'provider-registered', at: this.#at, statement, approved: true });
  }

  async #append(record: LogRecord): Promise<void> {
    this.#state = applyRecord(this.#state, record);
    await this.#log.append(record);
  }
}
