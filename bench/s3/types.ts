/** What the parts of the S3 benchmark tell each other: plain data, for it crosses a process boundary. */

/** An S3 server to be driven, by its address and an account that may do everything. */
export interface Endpoint {
  /** http://host:port */
  readonly url: string;
  readonly accessKey: string;
  readonly secretKey: string;
}

/** A run of numbered objects `{prefix}{number}`; the number decides the content, so that a read can be checked. */
export interface ObjectSet {
  readonly prefix: string;
  readonly count: number;
  /** Bytes of each. */
  readonly size: number;
}

/** What clients do over and over; one turn is one operation. */
export type Load =
  /** New keys. Ends early after `bytesMax`, so that a fast disk is not filled. */
  | { readonly kind: 'put'; readonly prefix: string; readonly size: number; readonly bytesMax: number }
  /** Objects of repeated data, so that they may be as large as one likes. */
  | { readonly kind: 'putRepeated'; readonly prefix: string; readonly size: number }
  | { readonly kind: 'get' | 'head'; readonly objects: ObjectSet }
  /** Ranges of `length` bytes at any place in the objects. */
  | { readonly kind: 'range'; readonly objects: ObjectSet; readonly length: number }
  /** 45 % GET, 30 % HEAD, 15 % PUT, 10 % DELETE, as warp mixes them; every client has a part of the objects to itself. */
  | { readonly kind: 'mixed'; readonly objects: ObjectSet }
  /** All pages of the prefix in order, once; an operation is a page. */
  | { readonly kind: 'list'; readonly prefix: string; readonly keys: number }
  /** The first page of the prefix again and again. */
  | { readonly kind: 'firstPage'; readonly prefix: string; readonly keys: number }
  /** Once around the folders of a prefix with a delimiter, FOLDER_KEYS keys each. */
  | { readonly kind: 'folders'; readonly prefix: string; readonly keys: number }
  /** DeleteObjects, once through the objects. */
  | { readonly kind: 'deleteObjects'; readonly objects: ObjectSet; readonly batch: number }
  /** Whole uploads, one part after the other per client. */
  | {
      readonly kind: 'multipart';
      readonly prefix: string;
      readonly parts: number;
      readonly partBytes: number;
      readonly bytesMax: number;
    };

/** Keys of a folder of the sets that are listed: one page of ListObjectsV2. */
export const FOLDER_KEYS = 1000;

export type Task =
  /** PUTs the objects from number `from` on; numbered in folders when `folders`. */
  | {
      readonly kind: 'fill';
      readonly objects: ObjectSet;
      readonly from: number;
      readonly concurrency: number;
      readonly folders: boolean;
    }
  /** Reads objects whole and compares every byte. */
  | { readonly kind: 'verify'; readonly objects: ObjectSet; readonly numbers: readonly number[] }
  /** Deletes everything under a prefix. */
  | { readonly kind: 'purge'; readonly prefix: string }
  | { readonly kind: 'bucket' }
  | {
      readonly kind: 'load';
      readonly load: Load;
      readonly concurrency: number;
      /** New operations are begun for so long; loads that go once around end by themselves if sooner. */
      readonly seconds: number;
      /** When the time is over, what is under way is broken off; its bytes count as far as they were sent. */
      readonly abandon?: boolean;
    }
  /** One object of many parts, each of them the same repeated data. */
  | {
      readonly kind: 'large';
      readonly key: string;
      readonly bytes: number;
      /** The last part may be shorter. */
      readonly partBytes: number;
      readonly concurrency: number;
    }
  /** Reads ranges of the object of `large` and compares every byte; then the whole, counting bytes. */
  | {
      readonly kind: 'readLarge';
      readonly key: string;
      readonly bytes: number;
      readonly partBytes: number;
      readonly ranges: number;
    };

/** What a task counted. */
export interface Outcome {
  readonly operations: number;
  readonly failed: number;
  /** Of the first failure. */
  readonly failure: string | undefined;
  /** Bodies sent and received, without heads. */
  readonly bytes: number;
  /** Keys listed, or deleted. */
  readonly keys: number;
  /** From the first request to the last answer. */
  readonly seconds: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly maxMs: number;
  /** CPU-seconds of the load generator itself. */
  readonly clientCpu: number;
  /** Numbers of some objects that a PUT acknowledged. */
  readonly written: readonly number[];
}

export interface Request {
  readonly id: number;
  readonly endpoint: Endpoint;
  readonly bucket: string;
  readonly task: Task;
}

export type Message =
  | { readonly id: number; readonly kind: 'began' }
  | { readonly id: number; readonly kind: 'progress'; readonly done: number; readonly of: number }
  | { readonly id: number; readonly kind: 'ended'; readonly outcome: Outcome }
  | { readonly id: number; readonly kind: 'broke'; readonly error: string };
