/** A year of a fleet whose providers die: what repair has to move, with the product's classification, urgency, thresholds and chooser. */
import type { Profile } from '#erasure';
import { chooseProviders, type Random } from '#placement';
import type { FailureModel } from '../../placement/durability/types.ts';
import { classify, type ShardHealth } from '../../placement/repair/repairPlan.ts';
import { byUrgency, Urgencies } from '../../placement/repair/urgency.ts';
import type { ChunkRecord, ProviderHandle } from '../../placement/types.ts';
import { nextSeed } from './chance.ts';
import type { ChunkSample } from './chunkSample.ts';
import { numberOf, totalOf, type World } from './world.ts';

const FREE = 0xffff;
const HOURS_YEAR = 365 * 24;
const ROOT = new Uint8Array(32);

export interface ChurnSetting {
  readonly model: FailureModel;
  readonly repairAt: number;
  /** Hours from a provider's death until repair knows of it. */
  readonly detectHours: number;
  /** Bytes a second that repair may read and write in all. */
  readonly bytesPerSecond: number;
  readonly years: number;
  /** Hours until the next death of a provider. */
  readonly life: (random: Random) => number;
}

export interface ChurnResult {
  readonly deaths: number;
  /** Shards lost a healthy shard and year. */
  readonly lossRate: number;
  /** Bytes repair moved, of the whole system, by day. */
  readonly bytesByDay: Float64Array;
  readonly repairs: number;
  readonly lostChunks: number;
  /** Mean hours from a chunk's falling to the threshold until it is whole again, and the longest. */
  readonly repairHours: number;
  readonly repairHoursMax: number;
}

export class ChurnSystem {
  readonly #world: World;
  readonly #sample: ChunkSample;
  readonly #setting: ChurnSetting;
  readonly #random: Random;
  readonly #total: number;
  readonly #places: Uint16Array;
  readonly #healthy: Uint8Array;
  readonly #held: number[][];
  /** Hour at which a chunk fell to the threshold; NaN: it has not. */
  readonly #fellAt: Float64Array;
  readonly #handles: { get: (id: string) => ProviderHandle };
  /** Chunks that wait for repair, by healthy shards when they were queued; the emptiest bucket that is not empty is the most urgent. */
  readonly #queue: number[][];
  readonly #order: readonly number[];
  readonly #bytesByDay: Float64Array;
  #counts = { deaths: 0, shardLosses: 0, repairs: 0, lost: 0, hours: 0, hoursMax: 0, shardHours: 0 };
  #healthyShards = 0;
  #busyUntil = 0;

  constructor(world: World, sample: ChunkSample, setting: ChurnSetting, random: Random) {
    const { profile, count } = sample;
    this.#world = world;
    this.#sample = sample;
    this.#setting = setting;
    this.#random = random;
    this.#total = totalOf(profile);
    this.#places = Uint16Array.from(sample.places);
    this.#healthy = new Uint8Array(count).fill(this.#total);
    this.#fellAt = new Float64Array(count).fill(NaN);
    this.#held = world.providers.map(() => []);
    // Only what a provider is, not how it is called, matters to the classification.
    const handles = new Map(world.providers.map((info) => [info.id, { info } as ProviderHandle]));
    this.#handles = { get: (id) => handles.get(id)! };
    this.#queue = Array.from({ length: this.#total + 1 }, () => []);
    this.#order = urgencyOrder(profile, setting.model, world.providers.length);
    this.#bytesByDay = new Float64Array(Math.ceil(setting.years * 365) + 30);
    for (let chunk = 0; chunk < count; chunk++) this.#age(chunk);
  }

  run(progress: (share: number) => void): ChurnResult {
    const end = this.#setting.years * HOURS_YEAR;
    const deaths = this.#world.providers.map(() => this.#setting.life(this.#random));
    const detections: { at: number; chunks: number[] }[] = [];
    let now = 0;
    for (;;) {
      const dying = smallest(deaths);
      const next = Math.min(deaths[dying]!, detections[0]?.at ?? Infinity);
      const until = Math.min(next, end);
      this.#drain(until);
      this.#counts.shardHours += this.#healthyShards * (until - now);
      now = until;
      if (next >= end) break;
      if (detections[0]?.at === now) {
        for (const chunk of detections.shift()!.chunks) this.#examine(chunk);
      } else {
        detections.push({ at: now + this.#setting.detectHours, chunks: this.#die(dying, now) });
        deaths[dying] = now + this.#setting.life(this.#random);
      }
      progress(now / end);
    }
    return this.#result();
  }

  /** The state of a system that has long been like this: from threshold + 1 to all shards, each as long as it lasts. */
  #age(chunk: number): void {
    const { repairAt } = this.#setting;
    const levels = this.#total - repairAt;
    let sum = 0;
    for (let healthy = repairAt + 1; healthy <= this.#total; healthy++) sum += 1 / healthy;
    let share = this.#random.fraction() * sum;
    let lost = levels - 1;
    for (let healthy = repairAt + 1; healthy <= this.#total; healthy++) {
      share -= 1 / healthy;
      if (share < 0) {
        lost = this.#total - healthy;
        break;
      }
    }
    const first = chunk * this.#total;
    for (let at = first; at < first + this.#total; at++) {
      // The chooser's order is random: the first shards of a chunk are as good as any.
      if (at - first < lost) this.#places[at] = FREE;
      else this.#held[this.#places[at]!]!.push(chunk);
    }
    this.#healthy[chunk]! -= lost;
    this.#healthyShards += this.#healthy[chunk]!;
  }

  /** @returns its chunks. An empty provider takes its place at once. */
  #die(provider: number, now: number): number[] {
    const chunks = this.#held[provider]!;
    this.#held[provider] = [];
    this.#counts.deaths++;
    const hit: number[] = [];
    for (const chunk of chunks) {
      const first = chunk * this.#total;
      const at = this.#places.indexOf(provider, first);
      if (at < 0 || at >= first + this.#total) continue;
      this.#places[at] = FREE;
      this.#healthyShards--;
      this.#counts.shardLosses++;
      const healthy = --this.#healthy[chunk]!;
      if (healthy < this.#sample.profile.data) this.#lose(chunk);
      else if (healthy <= this.#setting.repairAt && Number.isNaN(this.#fellAt[chunk]))
        this.#fellAt[chunk] = now;
      hit.push(chunk);
    }
    return hit;
  }

  /** Counts, and begins again whole where it was. */
  #lose(chunk: number): void {
    this.#counts.lost++;
    this.#rebuild(chunk);
  }

  /** What the queue does with a chunk it hears of: classified, and put off while it has more shards than the threshold. */
  #examine(chunk: number): void {
    const { healthy, action } = this.#classify(chunk);
    if (action === 'repair' && healthy <= this.#setting.repairAt) this.#queue[healthy]!.push(chunk);
  }

  #classify(chunk: number) {
    const first = chunk * this.#total;
    const places = Array.from(this.#places.subarray(first, first + this.#total));
    const record: ChunkRecord = {
      id: '',
      profile: this.#sample.profile,
      length: 1,
      cell: 1,
      generation: 1,
      shards: places.map((place) => (place === FREE ? undefined : { provider: `p${place}`, root: ROOT })),
    };
    const health = places.map((place): ShardHealth => (place === FREE ? 'missing' : 'healthy'));
    return classify(record, health, this.#handles);
  }

  /** Repairs, most urgent first, as far as the bandwidth goes until then. */
  #drain(until: number): void {
    const { bytesPerSecond, repairAt } = this.#setting;
    const { weight, shardBytes, profile } = this.#sample;
    this.#busyUntil = Math.max(this.#busyUntil, 0);
    for (;;) {
      const bucket = this.#order.find((healthy) => this.#queue[healthy]!.length > 0);
      if (bucket === undefined) break;
      const begin = Math.max(this.#busyUntil, this.#lastHeard);
      if (begin >= until) return;
      const chunk = this.#queue[bucket]!.shift()!;
      const healthy = this.#healthy[chunk]!;
      // It may have been queued twice, and repaired since.
      if (healthy > repairAt) continue;
      const bytes = weight * shardBytes * (profile.data + this.#total - healthy);
      this.#busyUntil = begin + bytes / bytesPerSecond / 3600;
      this.#bytesByDay[Math.floor(this.#busyUntil / 24)]! += bytes;
      this.#finish(chunk, this.#busyUntil);
    }
    this.#lastHeard = until;
  }
  #lastHeard = 0;

  #finish(chunk: number, now: number): void {
    const hours = now - this.#fellAt[chunk]!;
    this.#counts.repairs++;
    this.#counts.hours += hours;
    this.#counts.hoursMax = Math.max(this.#counts.hoursMax, hours);
    this.#rebuild(chunk);
  }

  #rebuild(chunk: number): void {
    const first = chunk * this.#total;
    const places = this.#places.subarray(first, first + this.#total);
    const taken = [...places].flatMap((place) => (place === FREE ? [] : [this.#world.providers[place]!]));
    const { chosen } = chooseProviders({
      candidates: this.#world.candidates,
      count: this.#total - taken.length,
      perDomainMax: this.#sample.profile.parity,
      taken,
      seed: nextSeed(this.#random),
    });
    const numbers = chosen.map(numberOf);
    this.#world.noteLoad(numbers);
    for (const [at, place] of places.entries()) {
      if (place !== FREE) continue;
      const provider = numbers.pop()!;
      places[at] = provider;
      this.#held[provider]!.push(chunk);
    }
    this.#healthyShards += this.#total - taken.length;
    this.#healthy[chunk] = this.#total;
    this.#fellAt[chunk] = NaN;
  }

  #result(): ChurnResult {
    const { deaths, shardLosses, shardHours, repairs, lost, hours, hoursMax } = this.#counts;
    return {
      deaths,
      lossRate: (shardLosses / shardHours) * HOURS_YEAR,
      bytesByDay: this.#bytesByDay,
      repairs,
      lostChunks: lost,
      repairHours: repairs === 0 ? 0 : hours / repairs,
      repairHoursMax: hoursMax,
    };
  }
}

/** Numbers of healthy shards in the order in which repair takes such chunks. */
function urgencyOrder(profile: Profile, model: FailureModel, providers: number): number[] {
  const urgencies = new Urgencies(model, providers);
  return Array.from({ length: totalOf(profile) + 1 }, (_, healthy) => healthy)
    .filter((healthy) => healthy >= profile.data)
    .sort((a, b) => byUrgency(urgencies.of(profile, a, a), urgencies.of(profile, b, b)));
}

function smallest(values: readonly number[]): number {
  let best = 0;
  for (let at = 1; at < values.length; at++) if (values[at]! < values[best]!) best = at;
  return best;
}
