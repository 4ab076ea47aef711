/** Requests of 4 KiB objects, signed ahead. */
import { GetObjectCommand, PutObjectCommand, S3Client } from '@aws-sdk/client-s3';
import { getSignedUrl } from '@aws-sdk/s3-request-presigner';

export interface SignedLoad {
  readonly puts: Buffer[];
  readonly gets: Buffer[];
  /** Alternately a PUT and a GET. */
  readonly mixed: Buffer[];
}

/** PUT and GET of `keys` keys. The keys must be written before they are read. */
export async function signedLoad(
  server: { readonly endpoint: string; readonly accessKey: string; readonly secretKey: string },
  bucket: string,
  keys: number,
): Promise<SignedLoad> {
  const s3 = new S3Client({
    endpoint: server.endpoint,
    region: 'us-east-1',
    forcePathStyle: true,
    requestChecksumCalculation: 'WHEN_REQUIRED',
    credentials: { accessKeyId: server.accessKey, secretAccessKey: server.secretKey },
  });
  const body = Buffer.alloc(4096, 'x');
  const puts: Buffer[] = [];
  const gets: Buffer[] = [];
  for (let at = 0; at < keys; at += 1) {
    const object = { Bucket: bucket, Key: `load/${at}` };
    const put = new URL(await getSignedUrl(s3, new PutObjectCommand(object)));
    const get = new URL(await getSignedUrl(s3, new GetObjectCommand(object)));
    const line = (url: URL): string => `${url.pathname}${url.search} HTTP/1.1\r\nHost: ${url.host}\r\n`;
    puts.push(Buffer.concat([Buffer.from(`PUT ${line(put)}Content-Length: ${body.length}\r\n\r\n`), body]));
    gets.push(Buffer.from(`GET ${line(get)}\r\n`));
  }
  s3.destroy();
  return { puts, gets, mixed: puts.flatMap((put, at) => [put, gets[at] as Buffer]) };
}
