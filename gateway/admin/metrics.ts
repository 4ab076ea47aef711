import { Counter, Gauge, Histogram, Registry, collectDefaultMetrics } from 'prom-client';
import type { Durability, DurabilityReport, NetworkOperator } from '#placement';
import type { AwaitingReclaim, GatewayStatus } from './types.ts';

/** What the S3 listener reports of each request. */
interface RequestSample {
  readonly operation: string;
  readonly status: number;
  readonly seconds: number;
  readonly bytesIn: number;
  readonly bytesOut: number;
}

/** What placement reports of each call to a provider. */
interface ProviderSample {
  readonly provider: string;
  readonly kind: 'read' | 'write';
  readonly outcome: string;
  readonly seconds: number;
}

export interface Gauges {
  awaitingRepair(): Promise<number>;
  awaitingReclaim(): Promise<AwaitingReclaim>;
  metadata(): GatewayStatus['metadataDurability'];
  /** Whether this process does the background work, and how many serve the store. */
  role(): { readonly background: boolean; readonly processes: number };
  /** What the S3 listener lets in and turns away; undefined before it is open. */
  admission():
    | {
        readonly classes: readonly ({ readonly kind: string } & Readonly<
          Record<'limit' | 'inWork' | 'parked' | 'queued', number>
        >)[];
        readonly refusals: readonly {
          readonly kind: string;
          readonly reason: string;
          readonly count: number;
        }[];
      }
    | undefined;
  /** Undefined while the network listener is off. */
  network(): NetworkOperator | undefined;
  /** Of the last survey of all chunks. */
  durability(): Promise<DurabilityReport>;
  providers(): readonly {
    readonly id: string;
    readonly freeBytes: number;
    readonly capacityBytes: number;
    readonly writable: boolean;
  }[];
}

interface GaugeSpec {
  readonly name: string;
  /** Counted elsewhere, and only grows. */
  readonly isCounter?: boolean;
  readonly help: string;
  readonly labelNames?: readonly string[];
  /** Values with their labels, read when metrics are asked for. */
  values(): Promise<readonly (readonly [number, Record<string, string>?])[]>;
}

export interface Metrics {
  readonly registry: Registry;
  readonly onRequest: (sample: RequestSample) => void;
  readonly onProviderCall: (sample: ProviderSample) => void;
}

/** Prometheus metrics, named `shardway_*`; seconds and bytes throughout. */
export function createMetrics(gauges: Gauges): Metrics {
  const registry = new Registry();
  collectDefaultMetrics({ register: registry });
  const registers = [registry];
  const requests = new Counter({
    name: 'shardway_s3_requests_total',
    help: 'S3 requests by operation and status',
    labelNames: ['operation', 'status'],
    registers,
  });
  const duration = new Histogram({
    name: 'shardway_s3_request_duration_seconds',
    help: 'Time from the head of an S3 request to the end of its response',
    labelNames: ['operation'],
    buckets: [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 60],
    registers,
  });
  const bytes = new Counter({
    name: 'shardway_s3_bytes_total',
    help: 'Body bytes by direction',
    labelNames: ['direction'],
    registers,
  });
  const calls = new Histogram({
    name: 'shardway_provider_call_duration_seconds',
    help: 'Calls to providers by kind and outcome',
    labelNames: ['provider', 'kind', 'outcome'],
    buckets: [0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1, 5, 10],
    registers,
  });
  for (const spec of gaugeSpecs(gauges)) registry.registerMetric(metricOf(spec));
  return {
    registry,
    onRequest(sample) {
      requests.inc({ operation: sample.operation, status: sample.status });
      duration.observe({ operation: sample.operation }, sample.seconds);
      bytes.inc({ direction: 'in' }, sample.bytesIn);
      bytes.inc({ direction: 'out' }, sample.bytesOut);
    },
    onProviderCall(sample) {
      calls.observe(
        { provider: sample.provider, kind: sample.kind, outcome: sample.outcome },
        sample.seconds,
      );
    },
  };
}

function metricOf(spec: GaugeSpec): Gauge | Counter {
  return spec.isCounter === true ? counterOf(spec) : gaugeOf(spec);
}

function counterOf(spec: GaugeSpec): Counter {
  const { name, help, labelNames = [] } = spec;
  return new Counter({
    name,
    help,
    labelNames: [...labelNames],
    registers: [],
    async collect() {
      const counts = await spec.values().catch(() => []);
      this.reset();
      for (const [count, labels = {}] of counts) this.inc(labels, count);
    },
  });
}

function gaugeOf(spec: GaugeSpec): Gauge {
  const { name, help, labelNames = [] } = spec;
  return new Gauge({
    name,
    help,
    labelNames: [...labelNames],
    registers: [],
    async collect() {
      // What cannot be had, as while the metadata store is away, is left out: the others are what tells of it.
      const values = await spec.values().catch(() => []);
      this.reset();
      // A reset gauge without labels says zero.
      if (labelNames.length === 0) this.remove();
      for (const [value, labels = {}] of values) this.set(labels, value);
    },
  });
}

function gaugeSpecs(gauges: Gauges): GaugeSpec[] {
  const ofProviders = (value: (one: ReturnType<Gauges['providers']>[number]) => number) => async () =>
    gauges.providers().map((one) => [value(one), { provider: one.id }] as const);
  return [
    {
      name: 'shardway_chunks_awaiting_repair',
      help: 'Length of the repair queue',
      values: async () => [[await gauges.awaitingRepair()]],
    },
    {
      name: 'shardway_awaiting_reclaim',
      help: 'Deleted bodies whose space is not free yet, and chunks that may go; counted up to 10,000',
      labelNames: ['kind'],
      values: async () => {
        const { bodies, chunks } = await gauges.awaitingReclaim();
        return [
          [bodies, { kind: 'body' }],
          [chunks, { kind: 'chunk' }],
        ];
      },
    },
    {
      name: 'shardway_metadata_durable',
      help: '1 while the metadata store keeps what it has acknowledged',
      values: async () => [[gauges.metadata().state === 'strong' ? 1 : 0]],
    },
    {
      name: 'shardway_metadata_reachable',
      help: '1 when the metadata store answered last',
      values: async () => [[gauges.metadata().reachable ? 1 : 0]],
    },
    {
      name: 'shardway_background_work',
      help: '1 in the gateway that does what one does for all over a store: the sum is 1',
      values: async () => [[gauges.role().background ? 1 : 0]],
    },
    {
      name: 'shardway_processes',
      help: 'Processes of all gateways that serve the store, as this one sees them',
      values: async () => [[gauges.role().processes]],
    },
    {
      name: 'shardway_provider_free_bytes',
      help: 'Free bytes by the last probe',
      labelNames: ['provider'],
      values: ofProviders(({ freeBytes }) => freeBytes),
    },
    {
      name: 'shardway_provider_writable',
      help: '1 when the provider may take new shards',
      labelNames: ['provider'],
      values: ofProviders(({ writable }) => (writable ? 1 : 0)),
    },
    ...admissionSpecs(gauges),
    ...networkSpecs(gauges),
    ...durabilitySpecs(gauges),
  ];
}

const ADMISSION_GAUGES = [
  ['limit', 'limit', 'Requests that may be in work at a time'],
  ['inWork', 'in_work', 'Requests in work'],
  ['parked', 'parked', 'Requests that wait for their clients'],
  ['queued', 'queued', 'Requests that wait in line'],
] as const;

function admissionSpecs(gauges: Gauges): GaugeSpec[] {
  return [
    ...ADMISSION_GAUGES.map(([field, name, help]) => ({
      name: `shardway_admission_${name}`,
      help,
      labelNames: ['class'],
      values: async () =>
        (gauges.admission()?.classes ?? []).map((one) => [one[field], { class: one.kind }] as const),
    })),
    {
      name: 'shardway_admission_refused_total',
      isCounter: true,
      help: 'Requests turned away with 503 SlowDown',
      labelNames: ['class', 'reason'],
      values: async () =>
        (gauges.admission()?.refusals ?? []).map(
          ({ kind, reason, count }) => [count, { class: kind, reason }] as const,
        ),
    },
  ];
}

function networkSpecs(gauges: Gauges): GaugeSpec[] {
  const registered = oneAtATime(async () => (await gauges.network()?.providers()) ?? []);
  return [
    {
      name: 'shardway_provider_score',
      help: 'SLA score for placement, 0 to 1',
      labelNames: ['provider'],
      values: async () =>
        (await registered()).flatMap(({ id, placementScore }) =>
          placementScore === undefined ? [] : [[placementScore, { provider: id }] as const],
        ),
    },
    {
      name: 'shardway_provider_score_component',
      help: 'Parts of the last era’s score, 0 to 1',
      labelNames: ['provider', 'component'],
      values: async () =>
        (await registered()).flatMap(({ id, last }) =>
          Object.entries(last?.components ?? {}).flatMap(([component, value]) =>
            value === undefined ? [] : [[value as number, { provider: id, component }] as const],
          ),
        ),
    },
    {
      name: 'shardway_provider_state',
      help: '1 for the state that a registered provider is in',
      labelNames: ['provider', 'state'],
      values: async () => (await registered()).map(({ id, state }) => [1, { provider: id, state }] as const),
    },
    {
      name: 'shardway_network_era',
      help: 'The last era that was opened',
      values: async () => {
        const overview = gauges.network()?.overview();
        return overview === undefined ? [] : [[overview.era]];
      },
    },
  ];
}

function durabilitySpecs(gauges: Gauges): GaugeSpec[] {
  const durability = oneAtATime(() => gauges.durability());
  const byBucket = async (value: (one: Durability) => number) => {
    const { whole, byBucket: buckets } = await durability();
    return [
      [value(whole), { bucket: '' }] as const,
      ...Object.entries(buckets).map(([bucket, one]) => [value(one), { bucket }] as const),
    ];
  };
  return [
    {
      name: 'shardway_durability_nines',
      help: 'Nines of a chunk’s durability in a year, by the measured failure rate and repair time',
      labelNames: ['bucket'],
      values: async () => await byBucket(({ nines }) => capped(nines)),
    },
    {
      name: 'shardway_expected_loss_bytes',
      help: 'Bytes expected to be lost in a year',
      labelNames: ['bucket'],
      values: async () => await byBucket(({ expectedLossBytes }) => expectedLossBytes),
    },
    {
      name: 'shardway_worst_domain_chunks',
      help: 'Chunks that could not be read if the worst single domain of a level went',
      labelNames: ['level'],
      values: async () =>
        (await durability()).whole.worstDomain.map(({ level, chunks }) => [chunks, { level }] as const),
    },
  ];
}

/** The gauges of a scrape are collected side by side: what several of them need is read once. */
function oneAtATime<T>(read: () => Promise<T>): () => Promise<T> {
  let underWay: Promise<T> | undefined;
  return async () => {
    underWay ??= read().finally(() => (underWay = undefined));
    return await underWay;
  };
}

/** Without chunks nothing can be lost; infinity is no value to chart. */
function capped(nines: number): number {
  return Math.min(nines, 1000);
}
