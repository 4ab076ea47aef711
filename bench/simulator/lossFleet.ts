/** A fleet at rates at which chunks are lost: to hold the durability formula against what happens. */
import type { Profile } from '#erasure';
import type { FailureModel } from '../../placement/durability/types.ts';
import type { Random } from '#placement';
import { exponential, pick, weibull } from './chance.ts';
import { totalOf } from './world.ts';

const HOURS_YEAR = 365 * 24;
/** Events lie in quarters of an hour: 0.3 % of a repair time of 72 h. */
const STEPS_HOUR = 4;
const STEPS_YEAR = HOURS_YEAR * STEPS_HOUR;
const FREE = 0xffff;

export interface FleetSetting {
  readonly profile: Profile;
  readonly model: FailureModel;
  readonly repairAt: number;
  /** 'memoryless': as in the formula, exponential with the model's mean. 'constant': every repair takes just as long. */
  readonly repairs: 'memoryless' | 'constant';
  /** Weibull shape of providers' lifetimes: 1 is exponential. */
  readonly shape: number;
  readonly providers: number;
  readonly chunks: number;
  /** Years that pass before counting begins, and those that count. */
  readonly warmUp: number;
  readonly years: number;
}

export interface FleetResult {
  readonly losses: number;
  readonly chunkYears: number;
  /** Shards lost a healthy shard and year. */
  readonly lossRate: number;
  readonly providerFailures: number;
}

/**
 * Providers die whole, with a shard of many chunks each, and an empty one takes their place; a chunk that has `repairAt` shards or fewer is
 * rebuilt in full after a repair time, on other providers drawn at random. A lost chunk counts, and a new one takes its place.
 */
export class LossFleet {
  readonly #setting: FleetSetting;
  readonly #random: Random;
  readonly #total: number;
  readonly #places: Uint16Array;
  readonly #healthy: Uint8Array;
  /** Step at which a chunk's repair ends; −1: none is under way. */
  readonly #due: Int32Array;
  readonly #held: number[][];
  /** By step: chunk ≥ 0, or −1 − provider that dies. */
  readonly #events: (number[] | undefined)[] = [];
  readonly #steps: number;
  #counts = { losses: 0, shardLosses: 0, failures: 0, healthyShardSteps: 0 };
  #healthyShards: number;

  constructor(setting: FleetSetting, random: Random) {
    const { chunks, providers } = setting;
    this.#setting = setting;
    this.#random = random;
    this.#total = totalOf(setting.profile);
    this.#places = new Uint16Array(chunks * this.#total).fill(FREE);
    this.#healthy = new Uint8Array(chunks);
    this.#due = new Int32Array(chunks).fill(-1);
    this.#held = Array.from({ length: providers }, () => []);
    this.#steps = Math.round((setting.warmUp + setting.years) * STEPS_YEAR);
    this.#healthyShards = 0;
    for (let chunk = 0; chunk < chunks; chunk++) this.#fill(chunk);
    for (let provider = 0; provider < providers; provider++) this.#plan(this.#life(), -1 - provider, 0);
  }

  run(progress: (share: number) => void): FleetResult {
    const begin = Math.round(this.#setting.warmUp * STEPS_YEAR);
    for (let step = 0; step < this.#steps; step++) {
      if (step === begin) this.#counts = { losses: 0, shardLosses: 0, failures: 0, healthyShardSteps: 0 };
      this.#counts.healthyShardSteps += this.#healthyShards;
      const events = this.#events[step];
      this.#events[step] = undefined;
      for (const event of events ?? []) {
        if (event < 0) this.#die(-1 - event, step);
        else if (this.#due[event] === step) this.#repair(event);
      }
      if (step % 1024 === 0) progress(step / this.#steps);
    }
    const { losses, shardLosses, failures, healthyShardSteps } = this.#counts;
    return {
      losses,
      chunkYears: this.#setting.chunks * this.#setting.years,
      lossRate: (shardLosses / healthyShardSteps) * STEPS_YEAR,
      providerFailures: failures,
    };
  }

  #die(provider: number, step: number): void {
    const { profile, repairAt } = this.#setting;
    this.#counts.failures++;
    const chunks = this.#held[provider]!;
    this.#held[provider] = [];
    for (const chunk of chunks) {
      const place = this.#placeOf(chunk, provider);
      if (place < 0) continue;
      this.#places[place] = FREE;
      this.#counts.shardLosses++;
      this.#healthyShards--;
      const healthy = --this.#healthy[chunk]!;
      if (healthy < profile.data) this.#lose(chunk);
      else if (healthy <= repairAt && this.#due[chunk] === -1) this.#startRepair(chunk, step);
    }
    this.#plan(this.#life(), -1 - provider, step);
  }

  #lose(chunk: number): void {
    this.#counts.losses++;
    const at = chunk * this.#total;
    this.#places.fill(FREE, at, at + this.#total);
    this.#healthyShards -= this.#healthy[chunk]!;
    this.#healthy[chunk] = 0;
    this.#due[chunk] = -1;
    this.#fill(chunk);
  }

  #startRepair(chunk: number, step: number): void {
    const { repairs, model } = this.#setting;
    const hours = repairs === 'constant' ? model.repairHours : exponential(this.#random, model.repairHours);
    const due = Math.max(step + 1, step + Math.round(hours * STEPS_HOUR));
    this.#due[chunk] = due;
    if (due < this.#steps) (this.#events[due] ??= []).push(chunk);
  }

  #repair(chunk: number): void {
    this.#due[chunk] = -1;
    this.#fill(chunk);
  }

  /** Gives every missing shard a provider that has none of the chunk. */
  #fill(chunk: number): void {
    const first = chunk * this.#total;
    for (let at = first; at < first + this.#total; at++) {
      if (this.#places[at] !== FREE) continue;
      let provider = pick(this.#random, this.#held.length);
      while (this.#placeOf(chunk, provider) >= 0) provider = pick(this.#random, this.#held.length);
      this.#places[at] = provider;
      this.#held[provider]!.push(chunk);
      this.#healthy[chunk]! += 1;
      this.#healthyShards++;
    }
  }

  #placeOf(chunk: number, provider: number): number {
    const first = chunk * this.#total;
    for (let at = first; at < first + this.#total; at++) if (this.#places[at] === provider) return at;
    return -1;
  }

  /** Steps until the next death. */
  #life(): number {
    const { model, shape } = this.#setting;
    const years =
      shape === 1
        ? exponential(this.#random, 1 / model.lossRate)
        : weibull(this.#random, 1 / model.lossRate, shape);
    return years * STEPS_YEAR;
  }

  #plan(steps: number, event: number, now: number): void {
    const step = now + Math.max(1, Math.ceil(steps));
    if (step < this.#steps) (this.#events[step] ??= []).push(event);
  }
}
