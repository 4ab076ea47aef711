import { Counter, Gauge, Histogram, Registry, collectDefaultMetrics } from 'prom-client';

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
  providers(): readonly {
    readonly id: string;
    readonly freeBytes: number;
    readonly capacityBytes: number;
    readonly writable: boolean;
  }[];
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
  registry.registerMetric(
    new Gauge({
      name: 'shardway_chunks_awaiting_repair',
      help: 'Length of the repair queue',
      registers: [],
      async collect() {
        this.set(await gauges.awaitingRepair());
      },
    }),
  );
  registry.registerMetric(
    new Gauge({
      name: 'shardway_provider_free_bytes',
      help: 'Free bytes by the last probe',
      labelNames: ['provider'],
      registers: [],
      collect() {
        for (const { id, freeBytes } of gauges.providers()) this.set({ provider: id }, freeBytes);
      },
    }),
  );
  registry.registerMetric(
    new Gauge({
      name: 'shardway_provider_writable',
      help: '1 when the provider may take new shards',
      labelNames: ['provider'],
      registers: [],
      collect() {
        for (const { id, writable } of gauges.providers()) this.set({ provider: id }, writable ? 1 : 0);
      },
    }),
  );
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
