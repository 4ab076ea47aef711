import type { Profile } from '#erasure';
import { forEachBounded } from '../concurrency.ts';
import { DomainMap } from './domains.ts';
import { addChunk, durabilityOf, emptyTally, revivedTally, type ChunkView, type Tally } from './tally.ts';
import type { DurabilityReport, FailureModel } from './types.ts';
import type { ChunkCatalog, ChunkId, ChunkRecord, Clock, ProviderInfo, Providers } from '../types.ts';

const PAGE = 512;
/** Pages between two saves of a pass: what a restart counts twice is nothing, what it reads twice is this much. */
const SAVE_PAGES = 32;
/** Buckets looked up at the same time. */
const LOOKUPS = 8;
/** Buckets of their own in a report; beyond, they are counted in the whole only. */
const BUCKETS_MAX = 1_000;
const PASS_NOTE = 'durability.pass';
const REPORT_NOTE = 'durability.report';

export interface DurabilityDeps {
  readonly catalog: Pick<ChunkCatalog, 'list' | 'getNote' | 'setNote'>;
  readonly providers: Pick<Providers, 'all' | 'get'>;
  readonly clock: Clock;
  /** Whether shards may stay with a provider for long; undefined: it is not registered. */
  readonly stays: (provider: ProviderInfo | undefined) => boolean;
  /** Bucket of a chunk; undefined when no object is in it any more. */
  readonly bucketOf?: (chunk: ChunkId) => Promise<string | undefined>;
  /** Profile of new chunks: what a report without chunks speaks of. */
  readonly profile: Profile;
  /** Slows the pass: asked for as many records as are about to be read. */
  readonly throttle?: { take(records: number, signal?: AbortSignal): Promise<void> };
}

interface Pass {
  readonly cursor: ChunkId | undefined;
  readonly whole: Tally;
  readonly buckets: ReadonlyMap<string, Tally>;
  readonly leftOut: boolean;
  /** Shards that records place somewhere. */
  readonly shards: number;
}

/**
 * Goes over all chunk records once and keeps what it found as the last report. Aborted, or after a restart, it goes on where it
 * was last saved.
 * @param modelOf told of the number of shards, gives the model that the figures are to rest on
 * @throws the signal's reason; what the catalog throws
 */
export async function surveyDurability(
  deps: DurabilityDeps,
  modelOf: (shards: number) => Promise<FailureModel>,
  signal?: AbortSignal,
): Promise<DurabilityReport> {
  const survey = new Survey(deps, parsePass(await deps.catalog.getNote(PASS_NOTE)));
  const { whole, buckets, leftOut, shards } = await survey.run(signal);
  const model = await modelOf(shards);
  const report: DurabilityReport = {
    at: deps.clock.now(),
    model,
    whole: durabilityOf(whole, model, deps.profile),
    byBucket: Object.fromEntries(
      [...buckets].map(([bucket, tally]) => [bucket, durabilityOf(tally, model, deps.profile)]),
    ),
    bucketsLeftOut: leftOut,
  };
  await deps.catalog.setNote(REPORT_NOTE, JSON.stringify(report, encodeInfinity));
  await deps.catalog.setNote(PASS_NOTE, '');
  return report;
}

/** The last finished report. */
export async function lastDurability(
  catalog: Pick<ChunkCatalog, 'getNote'>,
): Promise<DurabilityReport | undefined> {
  const note = await catalog.getNote(REPORT_NOTE);
  return note ? (JSON.parse(note, decodeInfinity) as DurabilityReport) : undefined;
}

class Survey {
  readonly #deps: DurabilityDeps;
  readonly #domains: DomainMap;
  readonly #whole: Tally;
  readonly #buckets: Map<string, Tally>;
  #cursor: ChunkId | undefined;
  #leftOut: boolean;
  #shards: number;

  constructor(deps: DurabilityDeps, pass: Pass | undefined) {
    this.#deps = deps;
    const infos = deps.providers.all().map(({ info }) => info);
    this.#domains = new DomainMap(infos.filter(deps.stays));
    this.#whole = pass?.whole ?? emptyTally();
    this.#buckets = new Map(pass?.buckets);
    this.#cursor = pass?.cursor;
    this.#leftOut = pass?.leftOut ?? false;
    this.#shards = pass?.shards ?? 0;
  }

  async run(signal: AbortSignal | undefined): Promise<Pass> {
    const { catalog, throttle } = this.#deps;
    for (let pages = 1; ; pages++) {
      signal?.throwIfAborted();
      const records = await catalog.list(this.#cursor, PAGE);
      if (records.length === 0) return this.#pass();
      await throttle?.take(records.length, signal);
      await forEachBounded(records, LOOKUPS, (record) => this.#add(record));
      this.#cursor = records.at(-1)!.id;
      if (pages % SAVE_PAGES === 0) await catalog.setNote(PASS_NOTE, formatPass(this.#pass()));
    }
  }

  #pass(): Pass {
    return {
      cursor: this.#cursor,
      whole: this.#whole,
      buckets: this.#buckets,
      leftOut: this.#leftOut,
      shards: this.#shards,
    };
  }

  async #add(record: ChunkRecord): Promise<void> {
    const bucket = await this.#deps.bucketOf?.(record.id);
    const view = this.#view(record);
    this.#shards += record.shards.filter((place) => place).length;
    addChunk(this.#whole, view);
    const tally = bucket === undefined ? undefined : this.#tallyOf(bucket);
    if (tally) addChunk(tally, view);
  }

  #tallyOf(bucket: string): Tally | undefined {
    let tally = this.#buckets.get(bucket);
    if (!tally && this.#buckets.size < BUCKETS_MAX) {
      tally = emptyTally();
      this.#buckets.set(bucket, tally);
    }
    if (!tally) this.#leftOut = true;
    return tally;
  }

  #view(record: ChunkRecord): ChunkView {
    const { providers, stays } = this.#deps;
    const placed = record.shards.flatMap((place, index) => {
      const info = place && providers.get(place.provider)?.info;
      return info && info.state !== 'gone' && info.state !== 'disqualified' ? [{ index, info }] : [];
    });
    const staying = placed
      .filter(({ info }) => stays(info))
      .map(({ index, info }) => ({ index, domain: info.domain }));
    const { data, parity } = record.profile;
    const clumped = this.#domains.clumped(staying, data + parity, parity);
    return { record, readable: placed.map(({ info }) => info), healthy: staying.length - clumped.length };
  }
}

function formatPass(pass: Pass): string {
  return JSON.stringify({ ...pass, buckets: [...pass.buckets] });
}

function parsePass(note: string | undefined): Pass | undefined {
  if (!note) return undefined;
  const saved = JSON.parse(note) as Omit<Pass, 'buckets'> & { readonly buckets: readonly [string, Tally][] };
  const buckets = new Map(saved.buckets.map(([bucket, tally]) => [bucket, revivedTally(tally)] as const));
  return { ...saved, whole: revivedTally(saved.whole), buckets };
}

/** JSON has no infinity, and nines can be. */
const INFINITE = 'Infinity';

function encodeInfinity(_: string, value: unknown): unknown {
  return value === Infinity ? INFINITE : value;
}

function decodeInfinity(key: string, value: unknown): unknown {
  return value === INFINITE && key === 'nines' ? Infinity : value;
}
