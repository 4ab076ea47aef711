/** What it costs to choose the providers of a chunk: `npm run bench:choose`. */
import { chooseProviders, seededRandom, type Candidate } from '#placement';
import { readFolder } from './contest.ts';
import { machine, machineLine } from './machine.ts';
import { runCommand } from './s3/progress.ts';
import { writeResults } from './s3/write.ts';

const HELP = `npm run bench:choose -- [options]

Time it takes to choose the providers of a chunk, among 12, 100 and 5000. Prints a table and writes choose.json and choose.md.

  --out folder   where results go; default: bench/results`;

const CHOICES = 20_000;
const WARM_UP = 5_000;

interface Result {
  readonly providers: number;
  readonly profile: string;
  readonly medianUs: number;
  readonly p99Us: number;
}

/** Weights 1 … 4, seven regions, a site for forty providers, an operator for sixty, load as it comes about. */
function providers(count: number): { candidates: Candidate[]; readonly place: (id: string) => void } {
  const random = seededRandom(count);
  const loads = new Float64Array(count);
  const candidates = Array.from({ length: count }, (_, id): Candidate => {
    const domain = {
      region: `r${id % 7}`,
      site: `s${id % Math.ceil(Math.max(12, count / 40))}`,
      operator: `o${id % Math.ceil(Math.max(12, count / 60))}`,
    };
    const info = { id: String(id), endpoint: '', domain, state: 'active', capacity: 1, free: 1 } as const;
    return {
      info,
      weight: 1 + 3 * random.fraction(),
      get load() {
        return loads[id]!;
      },
    };
  });
  return { candidates, place: (id) => void (loads[Number(id)]! += 1) };
}

function measure(count: number, data: number, parity: number): Result {
  const { candidates, place } = providers(count);
  const random = seededRandom(1);
  const times = new Float64Array(CHOICES);
  for (let choice = -WARM_UP; choice < CHOICES; choice++) {
    const seed = Math.floor(random.fraction() * 2 ** 32);
    const begun = process.hrtime.bigint();
    const request = { candidates, count: data + parity, perDomainMax: parity, seed };
    const { chosen } = chooseProviders(request);
    if (choice >= 0) times[choice] = Number(process.hrtime.bigint() - begun) / 1000;
    for (const { id } of chosen) place(id);
  }
  times.sort();
  const at = (share: number): number => times[Math.floor(CHOICES * share)]!;
  return { providers: count, profile: `${data}+${parity}`, medianUs: at(0.5), p99Us: at(0.99) };
}

async function main(folder: string): Promise<void> {
  const results = [12, 100, 5000].flatMap((count) => [
    measure(count, 4, 2),
    // Twelve providers take twelve of the sixteen shards.
    measure(count, 10, 6),
  ]);
  const report = [
    '# Choosing providers',
    '',
    `${machineLine}.`,
    `Microseconds for one chunk, of ${CHOICES} choices on one thread, the least loaded of three sets each.`,
    '',
    '| providers | profile | median | p99 |',
    '|---|---|---|---|',
    ...results.map(
      ({ providers, profile, medianUs, p99Us }) =>
        `| ${providers} | ${profile} | ${medianUs.toFixed(1)} | ${p99Us.toFixed(1)} |`,
    ),
    '',
  ].join('\n');
  await writeResults(folder, { 'choose.json': { machine, results }, 'choose.md': report });
  process.stdout.write(report);
}

await runCommand(HELP, readFolder, main);
