import type { IncomingMessage } from 'node:http';
import { Refusal } from './refusal.ts';
import type { BodyRule } from './types.ts';

/** Counts bytes as they come; false when there is no room for them. */
export type Room = (bytes: number) => boolean;

/** Before a body is read. @throws Refusal for one that is certainly not taken */
export function checkBody({ headers }: IncomingMessage, { bytesMax }: BodyRule): void {
  if (!/^application\/json\s*(?:;|$)/i.test(headers['content-type'] ?? '')) {
    throw new Refusal('BadMessage', 'the body is not JSON of a statement');
  }
  const encoding = headers['content-encoding'];
  if (encoding !== undefined && encoding.toLowerCase() !== 'identity') {
    throw new Refusal('BadMessage', 'the body must not be compressed', 415);
  }
  if (Number(headers['content-length'] ?? 0) > bytesMax) throw tooLong(bytesMax);
}

/**
 * The text of a body. What it says of its length reserves nothing: only what has come is counted.
 * @throws Refusal for one that is too long, too slow, or cut off, or for which there is no room
 */
export function readBody(request: IncomingMessage, rule: BodyRule, hasRoom: Room): Promise<string> {
  const { promise, resolve, reject } = Promise.withResolvers<string>();
  const parts: Buffer[] = [];
  let [length, before] = [0, 0];
  const tooSlow = (): void => reject(new Refusal('Unavailable', 'the body comes too slowly', 408));
  const look = (): void => {
    if ((length - before) * 1000 < rule.bytesPerSecondMin * rule.windowMs) tooSlow();
    before = length;
  };
  const receive = (part: Buffer): void => {
    length += part.length;
    if (length > rule.bytesMax) reject(tooLong(rule.bytesMax));
    else if (!hasRoom(part.length)) reject(new Refusal('Unavailable', 'too many statements are under way'));
    else parts.push(part);
  };
  const end = (): void => resolve(Buffer.concat(parts, length).toString());
  const cutOff = (): void => reject(new Refusal('BadMessage', 'the body was cut off'));
  const windows = setInterval(look, rule.windowMs);
  const deadline = setTimeout(tooSlow, rule.msMax);
  request.on('data', receive).on('end', end).on('close', cutOff).on('error', cutOff);
  // Its sender went away while it waited for its turn.
  if (request.destroyed) cutOff();
  return promise.finally(() => {
    clearInterval(windows);
    clearTimeout(deadline);
    request.off('data', receive).off('end', end).off('close', cutOff);
  });
}

function tooLong(bytesMax: number): Refusal {
  return new Refusal('BadMessage', `the body is longer than ${bytesMax} bytes`, 413);
}
