/** A network service with real daemons, a real registry and monitors that are moved by hand; its time moves only when told. */
import { randomBytes } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import type { Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { createHasher } from '#erasure';
import { createNetworkServer } from '../../../gateway/network/listener.ts';
import type { NetworkLimits, NetworkParties } from '../../../gateway/network/types.ts';
import { createChunkStore } from '../../../placement/chunks/chunkStore.ts';
import { LEDGER_DEFAULTS } from '../../../placement/ledger/parameters.ts';
import type { AddressRules } from '../../../placement/network/addressRules.ts';
import { BeaconChain, challengeOf } from '../../../placement/network/beacon.ts';
import { createIdentity, type Identity } from '../../../placement/network/identity.ts';
import { useGrant } from '../../../placement/network/issueGrant.ts';
import { joinProof } from '../../../placement/network/joinProof.ts';
import {
  assignmentSchema,
  type Assignment,
  type Audit,
  type Finding,
  type HyperNodeRegistration,
  type ProviderDescription,
  type Report,
  type Standing,
  type Task,
} from '../../../placement/network/messages.ts';
import { NetworkService } from '../../../placement/network/service.ts';
import type { NetworkEvent, NetworkServiceOptions } from '../../../placement/network/serviceTypes.ts';
import { openStatement, signStatement, type Signed } from '../../../placement/network/signed.ts';
import { ORACLE_DEFAULTS } from '../../../placement/oracle/parameters.ts';
import type { OracleParameters } from '../../../placement/oracle/types.ts';
import { startProvider, type RunningProvider } from '../../../placement/provider/daemon.ts';
import { decodeSigned, HOLDER_HEADER, SIGNED_HEADER } from '../../../placement/provider/wire.ts';
import { openProviders, type ProviderRegistry } from '../../../placement/registry/registry.ts';
import { seededRandom, systemClock } from '../../../placement/time.ts';
import { HttpProvider } from '../../../placement/transports/httpProvider.ts';
import { TestCluster } from '../../support/placement.ts';
import { ManualClock } from '../manualClock.ts';

const hasher = createHasher();
const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex');

/** Short, so that grants for a whole era are short too. */
export const ERA_MS = 60_000;

/** Waits for what others bring about, however long the machine takes. */
export async function until(holds: () => boolean | Promise<boolean>): Promise<void> {
  while (!(await holds())) await pause(5);
}

export class TestNetwork {
  readonly root: string;
  readonly gateway = createIdentity();
  readonly clock = new ManualClock(Date.now());
  readonly catalog = new TestCluster('').catalog;
  readonly events: NetworkEvent[] = [];
  readonly providers: RunningProvider[] = [];
  /** What the listener could not answer for. */
  readonly faults: Error[] = [];
  registry!: ProviderRegistry;
  service!: NetworkService;
  #server: Server | undefined;
  #url = '';

  private constructor(root: string) {
    this.root = root;
  }

  /** Started: registrations are taken, eras run. */
  static async start(options: Partial<NetworkServiceOptions> = {}): Promise<TestNetwork> {
    const network = new TestNetwork(await mkdtemp(join(tmpdir(), 'shardway-network-')));
    await network.open(options);
    network.service.start();
    return network;
  }

  get folder(): string {
    return join(this.root, 'network');
  }

  /** Opens the service anew, over what is on the disk. Its eras stand still until they are started. */
  async open(options: Partial<NetworkServiceOptions> = {}): Promise<void> {
    this.registry = await openProviders({ entries: [], clock: systemClock });
    const addresses: AddressRules = {
      allowPrivate: true,
      listeners: () => [{ host: '127.0.0.1', port: Number(new URL(this.url).port) }],
    };
    const parameters: OracleParameters = {
      ...ORACLE_DEFAULTS,
      eraMs: ERA_MS,
      groupsMin: 1,
      ...options.parameters,
    };
    this.service = await NetworkService.open({
      identity: this.gateway,
      folder: this.folder,
      catalog: this.catalog,
      registry: this.registry,
      transportFor: ({ id, publicKey, description: { endpoint } }) =>
        new HttpProvider({
          endpoint,
          provider: { id, publicKey },
          gateway: this.gateway,
          clock: systemClock,
          addresses,
        }),
      clock: this.clock,
      random: seededRandom(7),
      ledger: LEDGER_DEFAULTS,
      addresses,
      onEvent: (event) => this.events.push(event),
      ...options,
      parameters,
    });
  }

  /** The service as a crash leaves it: what is durable stays. */
  async stop(): Promise<void> {
    await this.service.close();
    await this.registry.close();
  }

  async close(): Promise<void> {
    await Promise.all(this.providers.map((provider) => provider.stop()));
    await this.stop();
    const server = this.#server;
    if (server) {
      await new Promise((resolve) => {
        server.close(resolve);
        server.closeAllConnections();
      });
    }
    await rm(this.root, { recursive: true, force: true });
  }

  get url(): string {
    return this.#url === '' ? 'http://127.0.0.1:1' : this.#url;
  }

  /** The listener, for daemons that register on their own. */
  async listen(limits: Partial<NetworkLimits> = {}): Promise<string> {
    const { promise, resolve } = Promise.withResolvers<undefined>();
    // Asked for anew, because the service is opened anew.
    const service = (): NetworkService => this.service;
    const parties: NetworkParties = {
      describe: () => service().describe(),
      era: () => service().era(),
      registerProvider: (statement) => service().registerProvider(statement),
      registerHyperNode: (statement) => service().registerHyperNode(statement),
      heartbeat: (statement) => service().heartbeat(statement),
      assignment: (statement) => service().assignment(statement),
      report: (statement, hash) => service().report(statement, hash),
      mayReport: (intent) => service().mayReport(intent),
    };
    const onError = (error: Error): void => void this.faults.push(error);
    this.#server = createNetworkServer(parties, { limits, onError });
    this.#server.listen(0, '127.0.0.1', () => resolve(undefined));
    await promise;
    this.#url = `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
    return this.#url;
  }

  async addDaemon(number: number, token?: string): Promise<RunningProvider> {
    const provider = await startProvider({
      data: join(this.root, `provider-${number}`),
      listen: { host: '127.0.0.1', port: 0 },
      gateway: this.url,
      ...(token !== undefined && { token }),
      region: 'r',
      site: `site-${number}`,
      operator: `operator-${number}`,
      networkPrefix: `10.0.${number}.0/24`,
      storageClass: 'ssd',
      capacity: 1e9,
      clock: systemClock,
      heartbeatMs: 50,
    });
    this.providers.push(provider);
    return provider;
  }

  /** A chunk of random bytes on the registered providers, in the catalog. */
  async storeChunk(length = 100_000): Promise<string> {
    const store = createChunkStore({
      providers: this.registry,
      clock: systemClock,
      random: seededRandom(1),
      cell: 16_384,
    });
    const id = hex(randomBytes(16));
    const writer = await store.create(id, { data: 2, parity: 1 });
    await writer.write(randomBytes(length));
    const { record } = await writer.finish();
    this.catalog.records.set(id, record);
    await store.close();
    return id;
  }

  eventsOf<K extends NetworkEvent['kind']>(kind: K): Extract<NetworkEvent, { kind: K }>[] {
    return this.events.filter((event): event is Extract<NetworkEvent, { kind: K }> => event.kind === kind);
  }

  /** Lets the time of the open era run out, and waits until it is closed and the next one open. */
  async nextEra(): Promise<void> {
    const era = this.service.state.era;
    this.clock.advance(ERA_MS + 1);
    await until(() => this.service.state.era > era && this.service.state.open !== undefined);
  }
}

/** Grows with every statement, as time does. */
let statements = 0;

/** A party that says what a test has it say. */
export class Party {
  readonly identity: Identity = createIdentity();
  readonly #network: TestNetwork;

  constructor(network: TestNetwork) {
    this.#network = network;
  }

  get id(): string {
    return this.identity.id;
  }

  sign(kind: string, value: object): Signed {
    const at = Math.floor(this.#network.clock.now()) + ++statements;
    return signStatement(this.identity, kind, {
      version: 1,
      gateway: this.#network.gateway.id,
      at,
      ...value,
    });
  }

  /** That it is about to send this report, signed anew each time. */
  announce({ body }: Pick<Signed, 'body'>): Signed {
    const { era } = this.#network.service.state;
    return this.sign('report-intent', { era, report: hex(hasher.hash(Buffer.from(body))) });
  }
}

export class Monitor extends Party {
  readonly #service: () => NetworkService;
  #chain: BeaconChain | undefined;
  #reveals = 0;

  constructor(network: TestNetwork) {
    super(network);
    this.#service = () => network.service;
  }

  /** @param fields its token is shown by its proof */
  async register(name: string, { token, ...fields }: Partial<HyperNodeRegistration> = {}): Promise<Standing> {
    const beaconTip = fields.beaconTip ?? this.#beacons().tip;
    const shown = token === undefined ? {} : { token: joinProof(token, this.id) };
    const registration = { operator: name, networkPrefix: name, ...fields, ...shown, beaconTip };
    return await this.#service().registerHyperNode(this.sign('register-hypernode', registration));
  }

  #beacons(): BeaconChain {
    return (this.#chain ??= new BeaconChain(randomBytes(32)));
  }

  async assignment(): Promise<{ assignment: Assignment; hash: string }> {
    const { era } = this.#service().era();
    const signed = await this.#service().assignment(this.sign('assignment-request', { era }));
    const { value } = openStatement(signed, 'assignment', assignmentSchema);
    return { assignment: value, hash: hex(hasher.hash(Buffer.from(signed.body))) };
  }

  /** Puts every challenge of its assignment to the real providers. */
  async work(): Promise<Signed> {
    const { assignment, hash } = await this.assignment();
    const findings: Finding[] = [];
    for (const task of assignment.tasks) findings.push(await this.#look(assignment, task));
    const report: Omit<Report, 'version' | 'gateway' | 'at'> = {
      era: assignment.era,
      assignment: hash,
      connectivity: { checked: 4, reached: 4 },
      reveal: this.#beacons().reveal(++this.#reveals),
      findings,
    };
    return this.sign('report', report);
  }

  async #look(assignment: Assignment, task: Task): Promise<Finding> {
    const hello = (await (await fetch(`${task.endpoint}/v1/hello`)).json()) as { session: string };
    const audits: Audit[] = [];
    for (const [number, { chunk, index, leaf, grant }] of task.targets.entries()) {
      const nonce = challengeOf(assignment.beacon, assignment.era, task.provider, this.id, number);
      const answer = await fetch(
        `${task.endpoint}/v1/shards/${chunk}.${index}/proof?leaf=${leaf}&nonce=${nonce}`,
        {
          headers: {
            authorization: `Shardway ${grant}`,
            [HOLDER_HEADER]: useGrant(this.identity, grantNonce(grant), hello.session),
          },
        },
      );
      await answer.arrayBuffer();
      const header = answer.headers.get(SIGNED_HEADER);
      audits.push({
        target: number,
        outcome: OUTCOMES.get(answer.status) ?? 'silent',
        elapsedMs: 1,
        ...(header !== null && { evidence: decodeSigned(header) }),
      });
    }
    return {
      provider: task.provider,
      probes: 10,
      answered: 10,
      rttMinMs: 1,
      latency: [[4, 10]],
      throughput: [100e6],
      audits,
    };
  }
}

const OUTCOMES: ReadonlyMap<number, Audit['outcome']> = new Map([
  [200, 'ok'],
  [404, 'missing'],
]);

function grantNonce(grant: string): string {
  const json = Buffer.from(grant.split('.')[0]!, 'base64url').toString();
  return (JSON.parse(json) as { nonce: string }).nonce;
}

/** A monitor of a network that has been let in, once an era is open for it. */
export async function activeMonitor(network: TestNetwork): Promise<Monitor> {
  const monitor = new Monitor(network);
  await monitor.register('m', { token: await network.service.createToken('hypernode', 1, 1) });
  await until(() => network.service.state.open !== undefined);
  return monitor;
}

export function describeProvider(endpoint: string, number = 1): ProviderDescription {
  return {
    endpoint,
    region: 'r',
    site: `site-${number}`,
    operator: `operator-${number}`,
    networkPrefix: `10.0.${number}.0/24`,
    storageClass: 'ssd',
    capacity: 1e9,
  };
}
