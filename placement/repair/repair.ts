import { clearPlaces, commitPlaces, deleteFormer, discardShards } from './repairCommit.ts';
import { examine, throwIfAborted, type Depth, type ExamineDeps, type Examination } from './repairExamine.ts';
import {
  classify,
  healthyOnRecord,
  planRepair,
  type Classification,
  type ClassifyOptions,
  type RepairTarget,
  type ShardHealth,
} from './repairPlan.ts';
import { RepairSources } from './repairSources.ts';
import { canReplace, writeShards, type WriteResult } from './repairWrite.ts';
import {
  PlacementError,
  type ChooseProviders,
  type ChunkCatalog,
  type ChunkRecord,
  type ProviderId,
} from '../types.ts';

/** Times that shards whose providers refused them are given other providers. */
const ATTEMPTS_MAX = 4;

export interface RepairDeps extends ExamineDeps {
  readonly catalog: ChunkCatalog;
  readonly choose: ChooseProviders;
}

export interface RepairOptions extends ClassifyOptions {
  /** 'deep': every byte of every shard is verified, those that the repair itself does not read included. */
  readonly depth: Depth;
  /** A shallow examination made just now, so that it is not made twice. */
  readonly examined?: Examination;
  /** With more healthy shards than this, repair is put off. By default it never is. */
  readonly repairAt?: number;
  /**
   * Shards may never have become durable where the record places them. Those that are not there are never put off, and where no provider
   * can take one, its place is taken out of the record: nobody is to be blamed for not having it.
   */
  readonly late?: boolean;
  /** The only providers that may take shards. By default all. */
  readonly onto?: ReadonlySet<ProviderId>;
}

/**
 * 'waiting': only shards of unreachable providers are lacking, which are given time. 'deferred': shards are lacking, and enough are left
 * to put it off. 'incomplete': some shards could not be placed or replaced. 'superseded': the record changed or went while shards
 * were built, and they have been given up.
 */
export type RepairResult =
  | 'healthy'
  | 'repaired'
  | 'waiting'
  | 'deferred'
  | 'incomplete'
  | 'unreadable'
  | 'superseded';

export interface RepairOutcome {
  readonly id: string;
  readonly result: RepairResult;
  /** Shards that became durable and are referenced. */
  readonly shards: number;
  /** Those of them whose former copies were lost or damaged. */
  readonly rebuilt: number;
  /** Bytes read and verified. */
  readonly bytes: number;
  /** Every byte of every shard has been verified, or was written, by this repair. */
  readonly verified: boolean;
  /** Wrong bytes were found that are still there. */
  readonly damaged: boolean;
  /** The record, as it stands now, places a shard where it was not found. */
  readonly absent: boolean;
  /** Of the record as it stands now. */
  readonly classification: Classification;
  /** See healthyOnRecord. */
  readonly recorded: number;
  readonly reason?: string;
}

/**
 * Brings one chunk back to full redundancy: examines its shards, computes the lost ones range by range from the others (about two
 * stripes in memory), writes them to providers that hold no other shard of it, and puts the new places into the record by
 * compare-and-set. Nothing that may still be needed is deleted before its successor is durable and recorded; a damaged file is
 * replaced under its own name only after the others have been shown to suffice.
 * Two repairs of one chunk must not run at the same time.
 * @throws PlacementError 'Aborted'; what the catalog throws (shards whose fate is unknown are kept, and left to scrub)
 */
export async function repairChunk(
  record: ChunkRecord,
  deps: RepairDeps,
  options: RepairOptions = { depth: 'shallow' },
  signal: AbortSignal = new AbortController().signal,
): Promise<RepairOutcome> {
  const examined = options.examined ?? (await examine(record, 'shallow', deps, signal));
  return new ChunkRepair(record, examined, deps, options, signal).run();
}

/** The state of one repair. */
class ChunkRepair {
  readonly #deps: RepairDeps;
  readonly #options: RepairOptions;
  readonly #signal: AbortSignal;
  readonly #health: ShardHealth[];
  /** Providers that did not take a shard of this chunk, and why. */
  readonly #refused = new Map<ProviderId, string>();
  /** Shards of which every byte has been verified. */
  readonly #verified = new Set<number>();
  /** Shards given up, and why. */
  readonly #stuck = new Map<number, string>();
  #record: ChunkRecord;
  #shards = 0;
  #rebuilt = 0;
  #bytes: number;

  constructor(
    record: ChunkRecord,
    examined: Examination,
    deps: RepairDeps,
    options: RepairOptions,
    signal: AbortSignal,
  ) {
    this.#record = record;
    this.#health = [...examined.health];
    this.#bytes = examined.bytes;
    this.#deps = deps;
    this.#options = options;
    this.#signal = signal;
  }

  async run(): Promise<RepairOutcome> {
    for (let attempt = 0; attempt < ATTEMPTS_MAX;) {
      throwIfAborted(this.#signal);
      const classification = this.#classify();
      const lost = this.#lacking(classification);
      if (lost.length === 0 || !this.#worthTrying(classification)) {
        if (this.#options.depth === 'shallow' || !(await this.#verifyRest())) break;
        continue;
      }
      attempt++;
      const targets = this.#plan(lost);
      if (targets.length === 0) break;
      try {
        if (!(await this.#attempt(targets))) return this.#outcome('superseded');
      } catch (error) {
        if (!(error instanceof PlacementError) || error.kind !== 'ChunkUnreadable') throw error;
        return this.#failed('unreadable', error.message);
      }
    }
    return this.#finished();
  }

  /** What is to be written next: everything that is lost, and then what lies in the wrong domain. */
  #lacking({ lost, clumped }: Classification): readonly number[] {
    const possible = (indexes: readonly number[]) => indexes.filter((index) => !this.#stuck.has(index));
    return lost.length > 0 ? possible(lost) : possible(clumped);
  }

  /** Reads the shards that nothing has read whole yet. False when there were none. */
  async #verifyRest(): Promise<boolean> {
    const rest = this.#health.flatMap((health, index) =>
      health === 'healthy' && !this.#verified.has(index) ? [index] : [],
    );
    if (rest.length === 0) return false;
    const examined = await examine(this.#record, 'deep', this.#deps, this.#signal, rest);
    this.#bytes += examined.bytes;
    for (const index of rest) {
      this.#health[index] = examined.health[index]!;
      this.#verified.add(index);
    }
    return true;
  }

  #plan(lost: readonly number[]): readonly RepairTarget[] {
    const { providers, choose } = this.#deps;
    const unreachable = this.#record.shards.flatMap((place, index) =>
      place && this.#health[index] === 'unreachable' ? [place.provider] : [],
    );
    const { onto, leaving = [] } = this.#options;
    const spreading = this.#classify().lost.length === 0;
    const homes = spreading ? lost.map((index) => this.#record.shards[index]!.provider) : [];
    const planned = planRepair({
      record: this.#record,
      health: this.#health,
      lost,
      providers,
      candidates: providers.candidates(),
      choose,
      refused: new Set([...this.#refused.keys(), ...unreachable, ...leaving, ...homes]),
      ...(onto && { onto }),
    });
    const targets = spreading && !this.#spreads(planned.targets) ? [] : planned.targets;
    const placed = new Set(targets.map(({ index }) => index));
    for (const index of lost) {
      if (!placed.has(index)) this.#stuck.set(index, 'no provider is free to take it');
    }
    return targets;
  }

  /** Whether shards would lie better in the planned places than where they are. */
  #spreads(targets: readonly RepairTarget[]): boolean {
    const shards = [...this.#record.shards];
    for (const { index, provider } of targets) {
      shards[index] = { ...shards[index]!, provider: provider.id };
    }
    const moved = classify({ ...this.#record, shards }, this.#health, this.#deps.providers, this.#options);
    return moved.clumped.length < this.#classify().clumped.length;
  }

  /** Damaged shards still have right leaves, so a chunk without k whole shards is given up only when those cannot suffice either. */
  #worthTrying(classification: Classification): boolean {
    if (this.#isDeferred(classification)) return false;
    if (classification.action !== 'unreadable') return true;
    const damaged = this.#health.filter((health) => health === 'corrupt').length;
    return classification.readable + damaged >= this.#record.profile.data;
  }

  /** A repair that has begun is carried to its end. */
  #isDeferred({ action, healthy }: Classification): boolean {
    if (this.#shards > 0 || (action !== 'repair' && action !== 'spread')) return false;
    if (this.#options.late && this.#isAbsent()) return false;
    return healthy > (this.#options.repairAt ?? Infinity);
  }

  /** Damaged files that must go first are replaced one at a time, after everything else is safe. False when superseded. */
  async #attempt(targets: readonly RepairTarget[]): Promise<boolean> {
    const before = this.#shards;
    const together = targets.filter((target) => !target.destroys);
    if (together.length > 0 && !(await this.#write(together))) return false;
    const needed: ProviderId[] = [];
    for (const target of targets.filter(({ destroys }) => destroys)) {
      if (!(await this.#canReplace(target))) needed.push(target.provider.id);
      else if (!(await this.#write([target]))) return false;
    }
    // Every shard that is whole again may make another one dispensable, so they get another try after any progress.
    if (this.#shards > before) return true;
    for (const id of needed) this.#refused.set(id, 'right leaves of its damaged shard are still needed');
    return true;
  }

  async #canReplace({ index }: RepairTarget): Promise<boolean> {
    const sources = this.#sources();
    try {
      return await canReplace(this.#record, index, sources, this.#deps.hasher, this.#signal);
    } finally {
      this.#bytes += sources.bytesRead;
    }
  }

  #sources(): RepairSources {
    return new RepairSources(this.#record, this.#health, this.#deps);
  }

  async #write(targets: readonly RepairTarget[]): Promise<boolean> {
    const sources = this.#sources();
    let result: WriteResult;
    try {
      result = await writeShards(this.#record, targets, sources, this.#deps, this.#signal);
    } finally {
      this.#bytes += sources.bytesRead;
    }
    for (const { target, wrongRoot, error } of result.refused) {
      if (wrongRoot)
        this.#stuck.set(target.index, 'computed from the others it does not have its recorded root');
      else if (error.kind !== 'Aborted') this.#refused.set(target.provider.id, error.message);
    }
    if (result.written.length === 0) return true;
    const former = { record: this.#record, health: [...this.#health] };
    const record = await commitPlaces(former.record, result.written, this.#deps.catalog);
    if (!record) {
      await discardShards(former.record.id, result.written, this.#deps);
      return false;
    }
    this.#record = record;
    this.#shards += result.written.length;
    for (const { index } of result.written) {
      if (former.health[index] !== 'healthy' && former.record.shards[index]) this.#rebuilt++;
      this.#health[index] = 'healthy';
      this.#verified.add(index);
    }
    for (const index of sources.whole()) this.#verified.add(index);
    await deleteFormer(former, result.written, this.#deps, this.#signal);
    return true;
  }

  /** Some shard is not, or not whole, where the record places it. */
  #isAbsent(): boolean {
    return this.#record.shards.some((place, index) => place && this.#health[index] !== 'healthy');
  }

  /** Takes places out of the record whose providers say that nothing is there. False when superseded. */
  async #clearMissing(): Promise<boolean> {
    const missing = this.#record.shards.flatMap((place, index) =>
      place && this.#health[index] === 'missing' ? [index] : [],
    );
    if (missing.length === 0) return true;
    const record = await clearPlaces(this.#record, missing, this.#deps.catalog);
    if (!record) return false;
    this.#record = record;
    for (const index of missing) this.#health[index] = 'undefined';
    return true;
  }

  #classify(): Classification {
    return classify(this.#record, this.#health, this.#deps.providers, this.#options);
  }

  async #finished(): Promise<RepairOutcome> {
    const classification = this.#classify();
    const { action, waiting } = classification;
    if (this.#options.late && action === 'repair' && !(await this.#clearMissing())) {
      return this.#outcome('superseded');
    }
    if (this.#isDeferred(classification)) return this.#outcome('deferred');
    if (action === 'unreadable') return this.#failed('unreadable', 'fewer than k shards can be read');
    if (action === 'repair') {
      const stuck = [...this.#stuck].map(([index, why]) => `shard ${index}: ${why}`);
      const refused = [...this.#refused].map(([provider, why]) => `provider ${provider}: ${why}`);
      return this.#failed('incomplete', [...stuck, ...refused].join('; '));
    }
    // Shards stay clumped where no other domain has room: the chunk is no worse for it than it was.
    if (waiting.length > 0) return this.#outcome('waiting');
    return this.#outcome(this.#shards > 0 ? 'repaired' : 'healthy');
  }

  /** Shards are also missing when the chunk has been deleted meanwhile, which is no fault of theirs. */
  async #failed(result: 'incomplete' | 'unreadable', reason: string): Promise<RepairOutcome> {
    const now = await this.#deps.catalog.get(this.#record.id);
    return now?.generation === this.#record.generation
      ? this.#outcome(result, reason)
      : this.#outcome('superseded');
  }

  #outcome(result: RepairResult, reason?: string): RepairOutcome {
    return {
      id: this.#record.id,
      result,
      shards: this.#shards,
      rebuilt: this.#rebuilt,
      bytes: this.#bytes,
      verified: this.#record.shards.every((_, index) => this.#verified.has(index)),
      damaged: this.#health.includes('corrupt'),
      absent: this.#isAbsent(),
      classification: this.#classify(),
      recorded: healthyOnRecord(this.#record, this.#deps.providers, this.#options.domains).healthy,
      ...(reason === undefined ? {} : { reason }),
    };
  }
}
