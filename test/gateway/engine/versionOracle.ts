/** S3's versioning rules, as slowly and plainly as they can be written: every version of a key in one array, newest first. */
import type { ListPage, VersioningState } from '../../../gateway/engine/types.ts';

export interface OracleVersion {
  /** 'null', or a name that the test maps to the engine's id. */
  id: string;
  deleteMarker: boolean;
  text: string;
}

const byBytes = (a: string, b: string): number => Buffer.compare(Buffer.from(a), Buffer.from(b));

export class VersionOracle {
  versioning: VersioningState = 'Unversioned';
  readonly keys = new Map<string, OracleVersion[]>();

  versions(key: string): OracleVersion[] {
    return this.keys.get(key) ?? [];
  }

  current(key: string): OracleVersion | undefined {
    const newest = this.versions(key)[0];
    return newest?.deleteMarker ? undefined : newest;
  }

  add(key: string, version: OracleVersion): void {
    const kept = this.versions(key).filter(({ id }) => version.id !== 'null' || id !== 'null');
    this.keys.set(key, [version, ...kept]);
  }

  /** Returns whether a delete marker was made. */
  remove(key: string, marker: OracleVersion): boolean {
    if (this.versioning === 'Unversioned') {
      this.keys.delete(key);
      return false;
    }
    this.add(key, marker);
    return true;
  }

  removeVersion(key: string, id: string): OracleVersion | undefined {
    const found = this.versions(key).find((version) => version.id === id);
    const left = this.versions(key).filter((version) => version !== found);
    if (left.length > 0) this.keys.set(key, left);
    else this.keys.delete(key);
    return found;
  }

  /** Sorted names of what a listing shows, by key, with what each stands for. */
  #rows<T>(
    prefix: string,
    delimiter: string,
    rows: (key: string) => T[],
  ): { name: string; row: T | undefined }[] {
    const all: { name: string; row: T | undefined }[] = [];
    const prefixes = new Set<string>();
    for (const key of [...this.keys.keys()].sort(byBytes)) {
      if (!key.startsWith(prefix)) continue;
      const at = delimiter === '' ? -1 : key.indexOf(delimiter, prefix.length);
      const found = rows(key);
      if (at === -1) for (const row of found) all.push({ name: key, row });
      else if (found.length > 0) prefixes.add(key.slice(0, at + delimiter.length));
    }
    for (const name of prefixes) all.push({ name, row: undefined });
    return all.sort((a, b) => byBytes(a.name, b.name));
  }

  list(prefix: string, delimiter: string, after: string, limit: number): string[][] {
    const rows = this.#rows(prefix, delimiter, (key) => (this.current(key) ? [key] : []));
    const due = rows.filter(({ name }) => byBytes(name, after) > 0);
    const shown = due.slice(0, limit);
    return [
      shown.filter(({ row }) => row !== undefined).map(({ name }) => name),
      shown.filter(({ row }) => row === undefined).map(({ name }) => name),
      limit > 0 && due.length > limit ? shown.slice(-1).map(({ name }) => name) : [],
    ];
  }

  listVersions(
    prefix: string,
    delimiter: string,
  ): { key: string; version: OracleVersion | undefined; latest: boolean }[] {
    const rows = this.#rows(prefix, delimiter, (key) =>
      this.versions(key).map((version, i) => ({ version, latest: i === 0 })),
    );
    return rows.map(({ name, row }) => ({ key: name, version: row?.version, latest: row?.latest ?? false }));
  }
}

export const shownBy = (page: ListPage): string[][] => [
  page.objects.map(({ key }) => key),
  [...page.commonPrefixes],
  page.next === undefined ? [] : [page.next],
];
