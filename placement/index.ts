/** The placement room's only door. */
export * from './types.ts';
export { chooseProviders } from './choose.ts';
export { createChunkStore, type ChunkStoreOptions, type OpenChunkStore } from './chunkStore.ts';
export type { KnownProvider } from './identify.ts';
export { LocalDirectory, type RevivableTransport } from './localDirectory.ts';
export { formatDirectory } from './providerDirectory.ts';
export { defaultProviderList, parseProviderList, type ProviderEntry } from './providerList.ts';
export type { ReadLimits } from './readLimits.ts';
export { openProviders, type OpenProvidersOptions, type ProviderRegistry } from './registry.ts';
export { seededRandom, systemClock, systemRandom } from './time.ts';
export { LiveWindow } from './window.ts';
export { writeQuorum, type WriteLimits } from './writeLimits.ts';
export { Maintenance } from './maintenance.ts';
export { measured } from './measured.ts';
