import { hostname } from 'node:os';
import type { Stated } from '#placement';
import { networkPrefixTowards } from './networkPrefix.ts';
import { bytesOf, label, locationOf, originOf, prefixFlag, wholeNumber } from './partyFlags.ts';

/** Flags with which a party says something of itself, as they were given. */
interface StatementFlags {
  readonly gateway: string;
  readonly operator?: string;
  readonly networkPrefix?: string;
  readonly location?: string;
}
export interface ProviderStatementFlags extends StatementFlags {
  readonly region?: string;
  readonly site?: string;
  readonly class?: 'ssd' | 'hdd';
  readonly capacity?: string;
  readonly advertise?: string;
}
export interface MonitorStatementFlags extends StatementFlags {
  readonly asn?: string;
}

type With<Names extends keyof Stated> = { readonly [Name in Names]: NonNullable<Stated[Name]> };
type CommonStatement = With<'operator' | 'networkPrefix'> & Pick<Stated, 'location'>;
type ProviderStatement = CommonStatement &
  With<'region' | 'site' | 'storageClass' | 'capacity'> &
  Pick<Stated, 'advertise'>;

/**
 * What a provider says of itself: by its flags, else as it said before, else by default.
 * @throws ConfigError
 */
export async function providerStatement(
  flags: ProviderStatementFlags,
  former: Stated,
): Promise<ProviderStatement> {
  const advertise = given(flags.advertise, (text) => originOf('--advertise', text)) ?? former.advertise;
  return {
    ...(await commonStatement(flags, former)),
    region: label('--region', flags.region ?? former.region ?? 'default'),
    site: label('--site', flags.site ?? former.site ?? hostname()),
    storageClass: flags.class ?? former.storageClass ?? 'ssd',
    capacity: given(flags.capacity, (text) => bytesOf('--capacity', text)) ?? former.capacity ?? 0,
    ...(advertise !== undefined && { advertise }),
  };
}

/** The same of a HyperNode. @throws ConfigError */
export async function monitorStatement(
  flags: MonitorStatementFlags,
  former: Stated,
): Promise<CommonStatement & Pick<Stated, 'asn'>> {
  const asn = given(flags.asn, (text) => wholeNumber('--asn', text)) ?? former.asn;
  return { ...(await commonStatement(flags, former)), ...(asn !== undefined && { asn }) };
}

async function commonStatement(flags: StatementFlags, former: Stated): Promise<CommonStatement> {
  const location = given(flags.location, (text) => locationOf('--location', text)) ?? former.location;
  const prefix =
    given(flags.networkPrefix, (text) => prefixFlag('--network-prefix', text)) ?? former.networkPrefix;
  return {
    operator: label('--operator', flags.operator ?? former.operator ?? hostname()),
    networkPrefix: prefix ?? (await networkPrefixTowards(flags.gateway)),
    ...(location && { location }),
  };
}

function given<T>(text: string | undefined, read: (text: string) => T): T | undefined {
  return text === undefined ? undefined : read(text);
}
