import { errorDocument, toS3Error } from './errors.ts';
import type { S3Error } from './errors.ts';
import type { S3Request, S3Response } from './types.ts';
import { XML_DECLARATION } from './xml.ts';

/** Times in ms. */
export interface Patience {
  /** Work done within this time is answered plainly, with its own status and headers. */
  readonly afterMs: number;
  /** Between two spaces, so that clients and load balancers (60 s is common) see a live connection. */
  readonly everyMs: number;
}

const PATIENCE: Patience = { afterMs: 10_000, everyMs: 10_000 };

/**
 * For operations that may take long (CompleteMultipartUpload, copies): after a while the status 200 is sent, then a space now and
 * then, and in the end the work's document, or `<Error>` under that 200, as S3 does it. The work's headers are then lost.
 * @param work resolves with a document; it goes on when the client goes away
 */
export async function patient(
  request: Pick<S3Request, 'id' | 'method' | 'rawPath'>,
  work: Promise<S3Response>,
  patience: Patience = PATIENCE,
): Promise<S3Response> {
  const early = await within(work, patience.afterMs);
  if (early !== undefined) return early;
  const outcome: Promise<Outcome> = work.then(
    (response) => ({ document: documentOf(response), error: undefined }),
    (thrown: unknown) => {
      const error = toS3Error(thrown);
      return { document: errorDocument(error, request, false), error };
    },
  );
  return {
    status: 200,
    headers: [['content-type', 'application/xml']],
    body: lateDocument(outcome, patience.everyMs),
    lateError: outcome.then(({ error }) => error),
  };
}

interface Outcome {
  readonly document: string;
  readonly error: S3Error | undefined;
}

/** The value, undefined when it takes longer. @throws what the work throws in time */
async function within<T>(work: Promise<T>, ms: number): Promise<T | undefined> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<undefined>((resolve) => {
    timer = setTimeout(() => resolve(undefined), ms);
  });
  try {
    return await Promise.race([work, late]);
  } finally {
    clearTimeout(timer);
  }
}

async function* lateDocument(outcome: Promise<Outcome>, everyMs: number): AsyncGenerator<Uint8Array> {
  yield Buffer.from(XML_DECLARATION);
  for (;;) {
    const known = await within(outcome, everyMs);
    if (known !== undefined) {
      yield Buffer.from(known.document);
      return;
    }
    yield Buffer.from(' ');
  }
}

/** The response's document without its XML declaration, which has gone ahead. */
function documentOf({ body, done }: S3Response): string {
  done?.();
  if (typeof body !== 'string') throw new TypeError('patient() takes responses whose body is a string');
  return body.startsWith(XML_DECLARATION) ? body.slice(XML_DECLARATION.length) : body;
}
