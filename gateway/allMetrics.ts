/** Metrics of all workers, as one answer. */
import { AggregatorRegistry, Registry } from 'prom-client';
import type { MetricObjectWithValues, MetricValue } from 'prom-client';

const isOfTheProcess = (name: string): boolean =>
  !name.startsWith('shardway_') || name.startsWith('shardway_admission_');

/** A registry's metrics as they travel between processes. */
export type MetricValues = readonly MetricObjectWithValues<MetricValue<string>>[];

/**
 * What a worker counts for itself. Gauges of the gateway as a whole, such as a provider's free space, are left to the one that answers: the
 * sum over workers would be wrong.
 */
export async function ownMetrics(registry: Registry): Promise<MetricValues> {
  const names = registry
    .getMetricsAsArray()
    .filter(({ name, type }) => String(type) !== 'gauge' || isOfTheProcess(name))
    .map(({ name }) => name);
  return await Promise.all(names.map(async (name) => await registry.getSingleMetric(name)!.get()));
}

/** What several workers have counted, as of one; not what is only true of a moment. */
export async function countedBy(all: readonly MetricValues[]): Promise<MetricValues> {
  const isCounted = ({ type }: MetricValues[number]): boolean => String(type) !== 'gauge';
  const sum = AggregatorRegistry.aggregate(all.map((one) => one.filter(isCounted)));
  return await sum.getMetricsAsJSON();
}

/** One worker's registry, which answers for all. */
export function registryOfAll(registry: Registry, others: () => Promise<readonly MetricValues[]>): Registry {
  return new AllRegistry(registry, others);
}

class AllRegistry extends Registry {
  readonly #own: Registry;
  readonly #others: () => Promise<readonly MetricValues[]>;

  constructor(own: Registry, others: () => Promise<readonly MetricValues[]>) {
    super();
    this.#own = own;
    this.#others = others;
  }

  override async metrics(): Promise<string> {
    const all = [await this.#own.getMetricsAsJSON(), ...(await this.#others())];
    return await AggregatorRegistry.aggregate(all).metrics();
  }
}
