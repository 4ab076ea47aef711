import { readHead, segmentsOf } from '../oracle/logReader.ts';

/** Paths of the files of a ledger, in order: none where no ledger was begun. @throws NetworkError 'Tampered' */
export async function ledgerFiles(folder: string): Promise<string[]> {
  const head = await readHead(folder);
  if (head === undefined || head.sequence === 0) return [];
  return (await segmentsOf(folder)).map(({ path }) => path);
}
