import { join } from 'node:path';
import * as z from 'zod';
import { readIfThere, replaceFile } from '../network/durableFile.ts';
import { NetworkError } from '../network/errors.ts';
import {
  hyperNodeRegistrationSchema,
  locationSchema,
  providerDescriptionSchema,
} from '../network/messages.ts';
import { parseMessage } from '../network/signed.ts';

/** Beside gateway.json, in the data folder of a provider or a HyperNode. */
const FILE = 'stated.json';

// The endpoint may be another with every start.
const { endpoint, ...description } = providerDescriptionSchema.shape;
const wholeSchema = z.strictObject({
  ...description,
  location: locationSchema,
  asn: hyperNodeRegistrationSchema.shape.asn.unwrap(),
  /** Only where it is another than the listener's own. */
  advertise: endpoint,
});

/** What a party says of itself, whatever of it is known. */
export type Stated = Readonly<Partial<z.infer<typeof wholeSchema>>>;

const statedSchema = wholeSchema.partial();
const fileSchema = z.strictObject({ version: z.literal(1), stated: statedSchema });

/** What the party stated when it was last started; nothing for a new one. @throws NetworkError 'Tampered' */
export async function readStated(data: string): Promise<Stated> {
  const path = join(data, FILE);
  const text = await readIfThere(path);
  if (text === undefined) return {};
  try {
    return parseMessage(fileSchema, JSON.parse(text)).stated as Stated;
  } catch (error) {
    throw new NetworkError(
      'Tampered',
      `${path} is not what was written: delete it, and give all flags anew`,
      {
        cause: error,
      },
    );
  }
}

/**
 * Keeps it durably for the next start, for the party's own eyes. Called before anything is stated, by the one process that has the folder.
 * @throws NetworkError 'BadMessage' for what no gateway would take
 */
export async function keepStated(data: string, stated: Stated): Promise<void> {
  const file = { version: 1, stated: parseMessage(statedSchema, stated) };
  await replaceFile(join(data, FILE), `${JSON.stringify(file)}\n`);
}
