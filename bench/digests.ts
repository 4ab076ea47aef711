/**
 * Digests of bodies: MD5 of several at once side by side against OpenSSL one by one, CRC-64/NVME against other implementations:
 * `npm run bench:digests`. Writes digests.json and digests.md into bench/results (--out).
 */
import { createHash, hash, randomFillSync } from 'node:crypto';
import { Crc64Nvme as PublishedCrc64 } from '@aws-sdk/crc64-nvme';
import { createDigests } from '../gateway/engine/checksums.ts';
import { createCrc64Nvme, Crc64Nvme } from '../gateway/engine/crc64nvme.ts';
import { compete, readFolder, ROUNDS, resultTable, spentMs } from './contest.ts';
import type { Contest } from './contest.ts';
import { machine, machineLine } from './machine.ts';
import { runCommand } from './s3/progress.ts';
import { writeResults } from './s3/write.ts';

const HELP = `npm run bench:digests -- [options]

Processor time of digests on one thread: MD5 of several bodies side by side, CRC-64/NVME, and small objects in one call.
Prints tables and writes digests.json and digests.md.

  --out folder   where results go; default: bench/results`;

const SMALL_BYTES = 4096;
const piece = randomFillSync(new Uint8Array(64 * 1024));
const small = piece.subarray(0, SMALL_BYTES);
/** Of one body, as its socket's reads bring it. */
const PIECES = 64;

/** The bodies' pieces come in turn, as those of clients at one pace do. */
function digestBodies(bodies: number, sideBySide: boolean): void {
  const under = Array.from({ length: bodies }, () => createDigests({ sideBySide }));
  for (let index = 0; index < PIECES; index++) for (const digests of under) digests.update(piece);
  for (const digests of under) digests.finish();
}

function md5Contest(bodies: number): Contest {
  return {
    work: `MD5 of ${bodies} ${bodies === 1 ? 'body' : 'bodies'} at once`,
    bytes: bodies * PIECES * piece.length,
    sides: {
      'side by side': () => digestBodies(bodies, true),
      'OpenSSL, one by one': () => digestBodies(bodies, false),
    },
  };
}

function crcContest(bytes: Uint8Array): Contest {
  const crcOf = (crc: { update(bytes: Uint8Array): void; digest(): unknown }): unknown => {
    crc.update(bytes);
    return crc.digest();
  };
  return {
    work: `CRC-64/NVME of ${bytes.length / 1024} KiB`,
    bytes: bytes.length,
    sides: {
      kernel: () => crcOf(createCrc64Nvme()),
      JavaScript: () => crcOf(new Crc64Nvme()),
      // Its digest comes as a promise, which none of the others has to wait for.
      '@aws-sdk/crc64-nvme': () => new PublishedCrc64().update(bytes),
    },
  };
}

const SMALL_CONTESTS: readonly Contest[] = ['md5', 'sha256'].map((algorithm) => ({
  work: `${algorithm.toUpperCase()} of 4 KiB`,
  bytes: small.length,
  sides: {
    'crypto.hash': () => hash(algorithm, small),
    createHash: () => createHash(algorithm).update(small).digest('hex'),
  },
}));

async function main(folder: string): Promise<void> {
  const md5 = [1, 2, 3, 4, 6, 8, 16].map(md5Contest).map((contest) => compete(contest, spentMs));
  const crc64 = [piece, small].map(crcContest).map((contest) => compete(contest, spentMs));
  const one = SMALL_CONTESTS.map((contest) => compete(contest, spentMs));
  const report = [
    '# Digests',
    '',
    `${machineLine}.`,
    `GB/s of processor time on one thread, medians of ${ROUNDS} rounds in which the sides take turns. Ratio: the first side to the second.`,
    '',
    resultTable(`MD5, bodies of ${(PIECES * piece.length) / 2 ** 20} MiB in pieces of 64 KiB`, md5, 2),
    resultTable('CRC-64/NVME', crc64, 2),
    resultTable('One call against an object', one, 2),
  ].join('\n');
  await writeResults(folder, { 'digests.json': { machine, md5, crc64, one }, 'digests.md': report });
  process.stdout.write(report);
}

await runCommand(HELP, readFolder, main);
