/** Whole-bucket work of DeleteBucket, behind closed gates. */
import { garbageCodec } from './codecs.ts';
import type { Context } from './context.ts';
import { garbageKey, idAt, inBucket, KIND, prefixRange, UPLOAD_ID_BYTES } from './keys.ts';
import type { Hex } from './model.ts';

const PAGE = 500;

export async function isEmpty(context: Context, bucket: Hex): Promise<boolean> {
  for (let partition = 0; partition < context.kv.partitions; partition++) {
    for (const kind of [KIND.current, KIND.version]) {
      const found = await context.kv.scan(partition, { ...prefixRange(inBucket(kind, bucket)), limit: 1 });
      if (found.length > 0) return false;
    }
  }
  return true;
}

/** Aborts what uploads there are, and drops left-over guards. */
export async function emptyBucket(context: Context, bucket: Hex): Promise<void> {
  for (let partition = 0; partition < context.kv.partitions; partition++) {
    await drop(context, partition, prefixRange(inBucket(KIND.guard, bucket)), () => []);
    await drop(context, partition, prefixRange(inBucket(KIND.upload, bucket)), (key) => {
      const upload = idAt(key, key.length - UPLOAD_ID_BYTES, UPLOAD_ID_BYTES);
      return [[garbageKey(upload), garbageCodec.encode({ kind: 'upload', upload })]];
    });
  }
}

async function drop(
  context: Context,
  partition: number,
  range: { from: Uint8Array; to: Uint8Array },
  inPlace: (key: Uint8Array) => [Uint8Array, Uint8Array][],
): Promise<void> {
  for (;;) {
    const page = await context.kv.scan(partition, { ...range, limit: PAGE });
    if (page.length === 0) return;
    const puts = page.flatMap(([key]) => inPlace(key));
    await context.kv.commit(partition, { puts, deletes: page.map(([key]) => key) });
  }
}
