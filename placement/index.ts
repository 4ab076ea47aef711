/** The placement room's only door. */
export * from './types.ts';
export { chooseProviders } from './choosing/choose.ts';
export { createChunkStore, type ChunkStoreOptions, type OpenChunkStore } from './chunks/chunkStore.ts';
export type { KnownProvider } from './registry/identify.ts';
export { LocalDirectory, type RevivableTransport } from './transports/localDirectory.ts';
export { formatDirectory } from './transports/providerDirectory.ts';
export { defaultProviderList, parseProviderList, type ProviderEntry } from './registry/providerList.ts';
export type { ReadLimits } from './chunks/readLimits.ts';
export { openProviders, type OpenProvidersOptions, type ProviderRegistry } from './registry/registry.ts';
export { seededRandom, systemClock, systemRandom } from './time.ts';
export { LiveWindow } from './registry/window.ts';
export { writeQuorum, type WriteLimits } from './chunks/writeLimits.ts';
export { Maintenance } from './repair/maintenance.ts';
export { measured } from './transports/measured.ts';
